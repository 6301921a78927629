"""Checking and writing by shard, in several processes: a pool of workers, each given one job after the other.

Invariant: a shard depends on its images and labels only, not on which worker writes it or which records are copied.
"""
