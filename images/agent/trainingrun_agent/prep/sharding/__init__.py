"""Checking and writing by shard: a shard's images are checked, written and remembered together, by one worker.

Invariant: a shard follows from its images alone, whichever worker makes it, and whether its records are new or reused.
"""
