"""`python3 -m trainingrun_trainer train|export --shared DIR`.

The handler of SIGTERM is there before anything else is imported: the first process of a container never gets a signal
for which it has no handler, and a pod can be deleted in the second in which it starts.
"""

import signal
import sys
import threading

if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    from trainingrun_trainer.wrapper import main

    sys.exit(main(stop))
