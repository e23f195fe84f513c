"""Lexical matches: phrases found by the keys of a query, with a score from 0 to 1."""
