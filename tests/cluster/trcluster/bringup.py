"""Start a cluster, step by step.

Invariant: the layout is on disk before the first process or link exists.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from . import conffiles, images, kubectl, node, nodes, pki, ports, process, s3, service, waiting
from .component import Stage
from .errors import ClusterError
from .layout import Layout, Tier
from .paths import clusters_root
from .tiers import COMPONENTS

Say = Callable[[str], None]
READY_SECONDS = 180.0  # on a busy machine; on an idle one nothing takes twenty


def prepare(draft: Layout) -> Layout:
    """Choose the ports, create the state folder and write all configuration; starts no process."""
    with ports.reservation(clusters_root()) as taken:
        chosen = ports.for_node(taken) if draft.tier is Tier.NODE else ports.for_host(taken)
        layout = replace(draft, ports=chosen)
        layout.state.mkdir(parents=True)
        layout.save()
    for folder in (layout.conf, layout.log, layout.pids, layout.kubelet, layout.state / "etcd"):
        folder.mkdir()
    if layout.tier is Tier.NODE:
        layout.containerd_root.mkdir(parents=True, exist_ok=True)
        images.clear_leftovers(layout)
        s3.create(layout)
    conffiles.write(layout)
    return layout


def start(layout: Layout, archives: Iterable[Path], say: Say) -> None:
    """Start every component in order and wait until all are ready; raises ClusterError that names the log."""
    if layout.tier is Tier.NODE:
        node.create(layout)
    _start_stage(layout, Stage.STORE)
    pki.create(layout)
    _start_stage(layout, Stage.API)
    if layout.tier is Tier.NODE:
        _load_images(layout, archives, say)
    _wait(layout, "kube-apiserver", kubectl.answers)
    say("API server ready")
    _start_stage(layout, Stage.REST)
    if layout.tier is Tier.NODE:
        _finish_node(layout, say)
    elif layout.tier is Tier.FLEET:
        nodes.add_fake(layout)
        say(f"{layout.fake_nodes} fake nodes Ready")
    if layout.tier is not Tier.API:
        kubectl.wait(layout, "--for=create", "serviceaccount/default")
    shutil.copy(layout.kubeconfig_of("super-admin"), layout.kubeconfig)
    say(f"up (tier {layout.tier}); export KUBECONFIG={layout.kubeconfig}")


def _start_stage(layout: Layout, stage: Stage) -> None:
    for component in COMPONENTS[layout.tier]:
        if component.stage is stage:
            service.start(layout, component.name)


def _load_images(layout: Layout, archives: Iterable[Path], say: Say) -> None:
    images.wait_for_containerd(layout)
    images.drop_containers(layout)
    own = [
        images.archive_of(Path(layout.binary("pause")), images.PAUSE),
        images.archive_of(Path(layout.binary("probe")), images.PROBE),
    ]
    images.load(layout, [*own, *archives], echo=say)


def _finish_node(layout: Layout, say: Say) -> None:
    kubectl.apply(layout, (layout.conf / "bootstrap.yaml").read_text(encoding="utf-8"))
    nodes.wait_ready(layout)
    say("node Ready")
    _wait(layout, "s3", s3.answers)
    _wait(layout, "coredns", nodes.dns_answers)
    say("S3 server and cluster DNS ready")


def _wait(layout: Layout, name: str, probe: Callable[[Layout], bool]) -> None:
    log = service.log_file(layout, name)

    def ready() -> bool:
        if service.pid(layout, name) is None:
            raise ClusterError(f"{name} ended at once; {process.end_of(log)}")
        return probe(layout)

    waiting.until(
        ready, what=f"{name} to be ready", seconds=READY_SECONDS, every=0.05, seen=lambda: process.end_of(log)
    )
