"""Builds TrainingRun's container images. Invariant: the tag of an image holds the hash of all its inputs."""
