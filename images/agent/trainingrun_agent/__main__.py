"""Entry point of the agent's image: `python3 -m trainingrun_agent`; its arguments are in command.py.

Invariant: a stage catches SIGTERM before anything else is imported; commands for people catch Ctrl-C themselves.
"""

import sys

from trainingrun_agent import early_stop

if __name__ == "__main__":
    if sys.argv[1:2] in early_stop.STAGES:
        early_stop.catch()
    from trainingrun_agent.command import main

    sys.exit(main())
