"""The catalog: the services that can be found, each with its phrases, validated line by line."""
