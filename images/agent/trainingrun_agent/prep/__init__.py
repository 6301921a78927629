"""Preparation: labelled images in a bucket become a checked, content-addressed data set.

Invariant: users' objects are only read; all knowledge of storage is the ObjectStore passed in.
"""

from trainingrun_agent.prep.prepare import PreparedDataset, prepare

__all__ = ["PreparedDataset", "prepare"]
