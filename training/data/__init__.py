"""Data sets for training: files as they are published, and the rows that each loss takes."""
