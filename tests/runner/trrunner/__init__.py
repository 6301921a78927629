"""Run checks and tiers of tests, and summarise per tier what ran, what was skipped and why, and the time."""
