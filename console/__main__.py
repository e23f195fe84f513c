"""The command `python -m console`: serves the search console; accounts, import and export of its catalog."""

from __future__ import annotations

import sys

from console.cli import main

if __name__ == "__main__":
    sys.exit(main())
