"""The catalog: services and null topics, each with its phrases, validated line by line."""
