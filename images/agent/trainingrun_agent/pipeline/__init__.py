"""pipeline.config of the Object Detection API, built from the typed spec and checked against the API's own protos.

Nothing is imported here: the networks are looked at without the protos too.
"""
