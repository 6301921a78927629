"""Fake servers for tests, and builders of the objects that tests start from."""
