"""Events of searches: whether any is lost, how fast they come in, and what searches beside them pay."""
