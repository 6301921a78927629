"""A TrainingRun's pods as real processes, at an S3 server behind a proxy that injects faults by a seed."""
