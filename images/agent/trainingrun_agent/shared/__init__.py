"""The folder that the agent shares with the trainer: reading it without trusting it."""
