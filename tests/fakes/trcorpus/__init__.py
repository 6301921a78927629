"""Public data sets as their authors publish them, and what their labels say, for tests/corpus."""
