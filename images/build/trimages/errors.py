"""The error that a user of the image builder sees. Invariant: its text says what failed and what to do next."""


class BuildError(Exception):
    """Building, checking or finding an image failed; the program prints the message and ends with code 1."""
