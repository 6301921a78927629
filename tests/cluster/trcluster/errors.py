"""The one error type of the program.

Invariant: its text is a single line that names the cause and the next step.
"""

from __future__ import annotations


class ClusterError(Exception):
    """Something the caller can act on; the command line prints the text and exits with code 1."""
