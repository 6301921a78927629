"""Trains and exports with the TensorFlow 1.x Object Detection API, on local files only.

Runs on Python 3.6 and newer with TensorFlow 1.14 or 1.15. The trainer has no credentials and uses no network: the
agent, a second container in the same pod, downloads its input and uploads its output. The two exchange files in a
shared folder (images/contracts/README.md).
"""

__version__ = "0.1.0"
