"""The demonstration: a real cluster, a drawn data set, one TrainingRun and what came of it."""
