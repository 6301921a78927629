"""The one error type of the program.

Invariant: the first line of its text names the cause and the next step; the output of a failed program may follow.
"""

from __future__ import annotations


class ClusterError(Exception):
    """Something the caller can act on; the command line prints the text and exits with code 1."""
