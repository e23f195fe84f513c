"""Documents beside services: cut into passages, kept in a vector engine, found by a query."""
