"""Children of a run as plain dictionaries, one builder per child; no I/O."""
