"""The base of what training refuses: `python -m training` prints such an error's sentence and exits with status 1."""


class TrainingError(Exception):
    """What was asked cannot be done; the text says why, and what to do where something can be done."""
