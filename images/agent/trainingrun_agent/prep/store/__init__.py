"""Data sets in the bucket: publish a new one, and find what the previous preparation of the same sources stored."""
