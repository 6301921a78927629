"""The stages of a run, one module each with `run(context) -> StageResult`, which raises StageError when it fails."""
