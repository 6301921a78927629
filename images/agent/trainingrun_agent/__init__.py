"""The agent: the one program of a run's pods that touches object storage and user files."""

__version__ = "0.1.0"
