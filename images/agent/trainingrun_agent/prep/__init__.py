"""Preparation: labelled images in a bucket become a checked, content-addressed data set.

Invariant: users' objects are only read; all knowledge of storage is the ObjectStore passed in. Nothing is imported
here: workers load only what they need.
"""
