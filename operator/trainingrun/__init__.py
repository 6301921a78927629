"""The TrainingRun operator: decides what runs when; never touches storage, secrets or TensorFlow."""

__version__ = "0.1.0"
