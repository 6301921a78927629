"""`make demo`: trains a detector with one TrainingRun on a real cluster, from drawn photos to its exported model."""
