"""Runs checks and tiers of tests; says per tier what ran, what was skipped and why, and how long it took."""
