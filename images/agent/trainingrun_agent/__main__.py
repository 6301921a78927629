"""Entry point of the agent's image: `python3 -m trainingrun_agent`; its arguments are in command.py.

Invariant: a stage catches SIGTERM before anything else is imported, and waits for no thread once its verdict is
written; commands for people catch Ctrl-C themselves.
"""

import sys

from trainingrun_agent import early_stop

if __name__ == "__main__":
    is_stage = sys.argv[1:2] in early_stop.STAGES
    if is_stage:
        early_stop.catch()
    from trainingrun_agent.command import main
    from trainingrun_agent.own_thread import end_process

    code = main()
    if is_stage:
        end_process(code)
    sys.exit(code)
