"""Coverage-guided fuzzing of all that reads users' bytes: `python -m trfuzz` hunts, tests/fuzz does so in passing."""
