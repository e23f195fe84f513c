"""What a search is: text, lexical matches, ranking, the index and the catalog. No Triton, no torch, no network."""
