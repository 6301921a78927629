"""Open a bucket with the agent's own client, configured as the operator configures it in a pod."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from trainingrun.api.settings import Policy
from trainingrun.domain.resolve import resolve
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, Paths, parse_resolved
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.stores import Stores
from trdemo.target import Storage
from trfakes.builders import SETTINGS, RunBuilder

POD = "11112222-3333-4444-5555-666677778888"


def open_store(
    storage: Storage, bucket: str, folder: Path, *, progress: Progress, stop: threading.Event
) -> ObjectStore:
    """Open the bucket; its credentials are written below `folder`."""
    spec = {"endpoint": storage.endpoint, "bucket": bucket}
    settings = replace(SETTINGS, policy=Policy(endpoints=(storage.endpoint,)))  # a loopback address must be named
    resolved = resolve(RunBuilder().spec(storage=spec).build(), settings=settings, find_run=lambda _: None)
    credentials = folder / "credentials"
    credentials.mkdir(exist_ok=True)
    (credentials / "AWS_ACCESS_KEY_ID").write_text(storage.access_key)
    (credentials / "AWS_SECRET_ACCESS_KEY").write_text(storage.secret_key)
    config = AgentConfig(
        resolved=parse_resolved(documents.encode(resolved)),
        stage="train",
        attempt=1,
        pod_uid=POD,
        pod_ip="127.0.0.1",
        grace_seconds=30,
        paths=Paths(credentials=credentials),
    )
    return Stores(config, progress=progress, stop=stop, clock=Clock()).open(bucket)
