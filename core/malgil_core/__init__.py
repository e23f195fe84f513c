"""What a search is: text, lexical matches, ranking, the index, the catalog, events. No Triton, no torch, no network."""
