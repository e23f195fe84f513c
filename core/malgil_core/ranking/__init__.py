"""Ranking of services by dense and lexical similarity."""
