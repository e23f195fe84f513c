"""Events of searches: their types, the log that a server appends them to, and the reading of that log."""
