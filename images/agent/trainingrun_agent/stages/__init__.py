"""The stages of a run, one module each, all with `run(context) -> Verdict`."""
