"""The command `python -m training encoder`."""

from __future__ import annotations

import click


@click.command()
def encoder() -> None:
    """Fine-tune an encoder."""
