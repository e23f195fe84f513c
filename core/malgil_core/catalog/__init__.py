"""The catalog: services and their phrases, validated line by line."""
