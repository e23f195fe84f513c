"""Evaluation of encoders: similarity, labelled queries, out-of-scope queries, retrieval of passages."""
