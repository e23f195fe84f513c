"""The console that commands print tables and progress on. rich is imported here, and only by commands that need it."""

from rich.console import Console

CONSOLE = Console(highlight=False)
