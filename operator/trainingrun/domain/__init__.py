"""Decisions as pure functions: no I/O, no kopf, no kubernetes client."""
