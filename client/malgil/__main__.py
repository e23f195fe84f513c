"""`python -m malgil`, for where scripts are not on the PATH."""

from malgil._cli import main

raise SystemExit(main())
