"""Export of a catalog: from JSON Lines to an index generation that serves."""
