"""A trainer that attacks its agent: at every name that the agent opens in the shared folder it plants something else.

Arguments: the shared folder, a file with a secret, what to plant (link, FIFO, folder or huge), and how it ends: with a
claim of success, or with done.json planted as well.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

SHARED, SECRET, KIND, END = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
CHECKPOINT = ("model.ckpt-10.index", "model.ckpt-10.data-00000-of-00001")
EVENTS = "events.out.tfevents.1700000000.host"
NAMES = (
    *(f"model/{name}" for name in (*CHECKPOINT, EVENTS, f"eval_0/{EVENTS}")),
    *("ready/00000020.json", "stacks.txt", "progress.json"),
    *("export/frozen_inference_graph.pb", "export/saved_model/1/saved_model.pb", "export/pipeline.config"),
    *("export/checkpoint/model.ckpt.index", "export/checkpoint/model.ckpt.data-00000-of-00001"),
    *("export/label_map.pbtxt", "export/metrics.json", "export/README.md"),
    *("export/pictures/0.png", "export/pictures/000-tire_07.png"),
)


def plant(name: str) -> None:
    path = SHARED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if KIND == "link":
        path.symlink_to(SECRET)
    elif KIND == "FIFO":
        os.mkfifo(path)
    elif KIND == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)


def write(name: str, document: object) -> None:
    path = SHARED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def main() -> None:
    with (SHARED / "trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (SHARED / "trainer.started").touch()
        while not (SHARED / "spec.json").exists():
            time.sleep(0.01)
        size = SECRET.stat().st_size
        files = [{"name": name, "size": size} for name in CHECKPOINT]
        write("ready/00000010.json", {"contractVersion": 1, "step": 10, "files": files})
        for name in NAMES:
            plant(name)
        time.sleep(0.3)  # the agent looks while the trainer lives
        if END == "plant":
            plant("done.json")
        else:
            write("done.json", {"contractVersion": 1, "outcome": "succeeded", "reason": "Done", "step": 10})


main()
