"""Benchmarks of speed, memory and size: each prints its measurements with their limits. Not part of the tests."""
