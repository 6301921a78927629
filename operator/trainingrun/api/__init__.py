"""Names and shapes of the TrainingRun API; imports nothing but the standard library."""
