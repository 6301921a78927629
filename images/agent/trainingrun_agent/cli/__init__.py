"""The command line for people: `trainingrun doctor`, `convert` and `prune`. It needs no cluster.

Invariant: it decides nothing about data; the code that prepares data in a pod does.
"""

from trainingrun_agent.cli.main import main

__all__ = ["main"]
