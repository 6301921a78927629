"""Trains and exports with the TensorFlow 1.x Object Detection API, on local files only.

Runs on Python 3.6 and newer, TensorFlow 1.14 and 1.15. It has no credentials and no network: the agent beside it
fetches and ships, and the two meet in a shared folder.
"""

__version__ = "0.1.0"
