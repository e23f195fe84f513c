"""Suggestions: what is being typed, completed to phrases of services and to what other people chose."""
