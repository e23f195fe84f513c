"""The console's speed: pages, search as one types, warnings, and the draft's rebuild."""
