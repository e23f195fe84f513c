"""Soak tests, run by `python -m tests.soak`: what a server must survive, from publishes to kills to any request."""
