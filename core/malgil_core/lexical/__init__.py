"""Lexical matches between a query and the phrases of an index."""
