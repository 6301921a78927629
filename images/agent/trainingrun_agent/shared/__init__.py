"""The folder the agent shares with the trainer: reading it without trusting it."""
