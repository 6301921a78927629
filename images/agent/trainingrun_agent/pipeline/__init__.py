"""pipeline.config of the Object Detection API, built from the run's spec and checked against the API's own protos.

This module imports nothing, so that `networks` can be used without loading the protos.
"""
