"""Build a trainer image without TensorFlow: the agent's image plus tests/fakes/fake_trainer.py.

The fake keeps the trainer's side of the contract. It starts within a second and makes ten steps a second on any
machine, so a test can end one attempt after the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trcluster import oci
from trdemo import install
from trdemo.target import Target
from trimages.paths import REPOSITORY

PROGRAM: Final = REPOSITORY / "tests" / "fakes" / "fake_trainer.py"
EXPORTED: Final = (
    "frozen_inference_graph.pb",
    "saved_model/1/saved_model.pb",
    "checkpoint/model.ckpt.index",
    "checkpoint/model.ckpt.data-00000-of-00001",
    "pipeline.config",
    "label_map.pbtxt",
    "metrics.json",
)
PLAN: Final = {"seconds_per_step": 0.1, "save_every": 20, "export": EXPORTED, "export_seconds": 5}


def load(target: Target, folder: Path, *, reference: str = "", plan: Mapping[str, Any] = PLAN) -> str:
    """Build the image and load it onto the nodes; returns its reference, by default `stand-in` with the agent's tag."""
    agent = install.build_images(echo=print)["agent"]
    reference = reference or agent.reference.replace("/agent:", "/stand-in:")
    archive = folder / f"{reference.rpartition('/')[2].replace(':', '-')}.tar"
    oci.write_extended(
        archive,
        base=agent.archive,
        reference=reference,
        files={"stand-in/trainer.py": (PROGRAM.read_bytes(), 0o644)},
        entrypoint=["python3", "/stand-in/trainer.py", "/shared", json.dumps(plan)],
    )
    target.load_images([archive])
    return reference
