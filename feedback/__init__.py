"""The loop after the search: events into reports, training pairs, phrases and experiments."""
