"""The error for a command that was called with wrong arguments.

Invariant: the message names the option or the path, and says what to do.
"""


class UsageError(Exception):
    """Ends the command with exit code 2; nothing was done."""
