"""The one error a user of the image builder sees. Invariant: its text says what failed and what to do next."""


class BuildError(Exception):
    """Building, checking or finding an image failed; the message is complete and ends the program with code 1."""
