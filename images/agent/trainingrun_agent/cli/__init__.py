"""The command line for people: `trainingrun doctor`, `convert` and `prune`. No cluster is needed for it.

Invariant: it decides nothing about data; that is done by the code that prepares data in a pod.
"""

from trainingrun_agent.cli.main import main

__all__ = ["main"]
