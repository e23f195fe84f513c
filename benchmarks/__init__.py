"""Measurements: quality, speed, and what they are compared with."""

import export  # noqa: F401  (puts the model folders on the path)
