"""The command `python -m feedback`."""

import sys

from feedback.cli import main

if __name__ == "__main__":
    sys.exit(main())
