"""Coverage-guided fuzzing of the code that reads users' files: `python -m trfuzz`, and for seconds in tests/fuzz."""
