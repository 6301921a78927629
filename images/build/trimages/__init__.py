"""Builds TrainingRun's container images. Invariant: an image is named by the hash of all it is built from."""
