"""Entry point of ``python3 -m trimages``. Invariant: it only calls the command line."""

import sys

from .cli import main

sys.exit(main(sys.argv[1:]))
