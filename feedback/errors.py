"""The base of what feedback refuses."""


class FeedbackError(Exception):
    """What was asked cannot be done; the text says why, and what to do where something can be done."""
