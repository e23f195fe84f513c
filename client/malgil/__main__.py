"""Entry point of `python -m malgil`, for environments whose scripts are not on the PATH."""

from malgil._cli import main

raise SystemExit(main())
