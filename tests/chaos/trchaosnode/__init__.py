"""Seeded kills and network faults on real pods: a plan made from a seed, its execution, and a table of what it cost."""
