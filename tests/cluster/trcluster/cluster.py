"""A cluster's life: up, down, status. For tests and for the command line alike.

Invariant: ``down`` clears everything that ``up`` may have made, at whatever point ``up`` ended, from what lies in the
state folder and in /proc alone; ``up`` begins with the same clearing.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from . import build, conffiles, debian, images, kubectl, node, nodes, pki, ports, process, s3, service
from .checks import Probes, check_node_host, check_space_to_run
from .component import Stage
from .errors import ClusterError
from .layout import Layout, Ports, Tier, load
from .paths import cache_root, clusters_root, containerd_root, state_dir
from .tiers import COMMANDS, COMPONENTS

Echo = Callable[[str], None]


@dataclass(frozen=True)
class ServiceStatus:
    """One daemon: ``pid`` on the host, None when it does not run."""

    name: str
    pid: int | None


class Cluster:
    """A named cluster; the object holds no state, so any process may open it by name.

    ``images``: OCI archives, or folders of them, that tier node imports when it lacks them. ``audit``: write an
    audit log (level Metadata). ``fake_nodes``: how many nodes tier fleet has.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        tier: Tier | str = Tier.NODE,
        images: Iterable[Path | str] = (),
        audit: bool = False,
        fake_nodes: int = 5,
        echo: Echo = print,
    ) -> None:
        self.name = name
        self.tier = Tier(tier)
        self.state = state_dir(name)
        self._images = [Path(path) for path in images]
        self._audit = audit
        self._fake_nodes = fake_nodes
        self._started = time.monotonic()
        self._echo = echo

    # -- life ---------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start the cluster and wait until it is ready; raises ClusterError, then nothing but logs is left."""
        probes = Probes()
        if self.tier is Tier.NODE:
            check_node_host(probes)
            images.archives(self._images)
        check_space_to_run(probes, cache_root())
        with self._lock():
            self._clear()
            if self.tier is Tier.NODE:
                _refuse_second_node(self.name)
                debian.ensure(echo=self._echo)
            binaries = build.ensure(COMMANDS[self.tier], echo=self._echo, probes=probes)
            self._started = time.monotonic()
            layout = self._prepare({command: str(path) for command, path in binaries.items()})
            try:
                self._start(layout)
            except BaseException:
                self._stop_everything(layout)
                raise

    def down(self, *, purge: bool = False) -> None:
        """Stop the cluster and remove all it made; ``purge`` also forgets its images. Harmless when it is down."""
        self._started = time.monotonic()
        with self._lock():
            self._clear()
            if purge:
                shutil.rmtree(containerd_root(self.name), ignore_errors=True)
        self._say("down")

    def __enter__(self) -> Cluster:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # -- what a running cluster offers --------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """Names, folders and ports; raises ClusterError when the cluster is not there."""
        layout = load(self.state)
        if layout is None:
            raise ClusterError(f"there is no cluster {self.name!r}: 'up --name {self.name}'")
        return layout

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig; raises ClusterError when the cluster is not up."""
        path = self.layout.kubeconfig
        if not path.exists():
            raise ClusterError(f"cluster {self.name!r} is not up: 'up --name {self.name}'")
        return path

    @property
    def s3(self) -> s3.S3:
        """The S3 server's address and root account (tier node)."""
        return s3.read(self.layout)

    def status(self) -> list[ServiceStatus]:
        """One entry per daemon of the tier, in the order of start."""
        layout = self.layout
        return [ServiceStatus(each.name, service.pid(layout, each.name)) for each in COMPONENTS[layout.tier]]

    def service(self, action: str, name: str) -> None:
        """``start``, ``stop``, ``kill``, ``pause``, ``resume`` or ``restart`` one daemon."""
        if action not in service.ACTIONS:
            raise ClusterError(f"no such action {action!r}: choose one of {', '.join(service.ACTIONS)}")
        service.ACTIONS[action](self.layout, name)

    def log(self, name: str) -> Path:
        """The log file of one daemon."""
        layout = self.layout
        return service.log_file(layout, service.component(layout, name).name)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as administrator; its standard output. Raises ClusterError with its last line of error."""
        return kubectl.kubectl(self.layout, *arguments, stdin=stdin, timeout=timeout)

    def exec(self, argv: Sequence[str], *, timeout: float = 60) -> str:
        """Run a command inside the node; its standard output."""
        layout = self.layout
        return process.run([*node.enter(layout), *argv], state=layout.state, timeout=timeout)

    def import_images(self, paths: Iterable[Path | str]) -> list[str]:
        """Import the archives the node lacks; the references that were imported."""
        return images.load(self.layout, [Path(path) for path in paths], echo=self._say)

    def set_gpus(self, count: int) -> None:
        """Let the node advertise ``count`` ``nvidia.com/gpu``."""
        nodes.set_gpus(self.layout, count)

    # -- inner steps --------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._echo(f"{time.monotonic() - self._started:6.1f} s  {self.name}: {text}")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One ``up`` or ``down`` of a name at a time; the kernel drops the lock of a killed program."""
        clusters_root().mkdir(parents=True, exist_ok=True)
        with (clusters_root() / f".{self.name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ClusterError(
                    f"another 'up' or 'down' of cluster {self.name} is running: wait for it, or choose another --name"
                ) from error
            yield

    def _prepare(self, binaries: dict[str, str]) -> Layout:
        layout = Layout(self.name, self.tier, Ports(), binaries, self._audit, self._fake_nodes)
        with ports.reservation(clusters_root()) as taken:
            chosen = ports.for_node(taken) if self.tier is Tier.NODE else ports.for_host(taken)
            layout = replace(layout, ports=chosen)
            layout.state.mkdir(parents=True)
            layout.save()
        for folder in (layout.conf, layout.log, layout.pids, layout.kubelet, layout.state / "etcd"):
            folder.mkdir()
        if self.tier is Tier.NODE:
            layout.containerd_root.mkdir(parents=True, exist_ok=True)
            images.clear_leftovers(layout)
            s3.create(layout)
        conffiles.write(layout)
        return layout

    def _start(self, layout: Layout) -> None:
        if self.tier is Tier.NODE:
            node.create(layout)
        self._start_stage(layout, Stage.STORE)
        pki.create(layout)
        self._start_stage(layout, Stage.API)
        if self.tier is Tier.NODE:
            self._load_images(layout)
        self._wait(layout, kubectl.answers, "kube-apiserver", "API server ready")
        self._start_stage(layout, Stage.REST)
        if self.tier is Tier.NODE:
            self._finish_node(layout)
        elif self.tier is Tier.FLEET:
            nodes.add_fake(layout)
            self._say(f"{layout.fake_nodes} fake nodes Ready")
        if self.tier is not Tier.API:
            kubectl.kubectl(layout, "wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        shutil.copy(layout.kubeconfig_of("super-admin"), layout.kubeconfig)
        self._say(f"up (tier {self.tier}); export KUBECONFIG={layout.kubeconfig}")

    def _start_stage(self, layout: Layout, stage: Stage) -> None:
        for component in COMPONENTS[layout.tier]:
            if component.stage is stage:
                service.start(layout, component.name)

    def _load_images(self, layout: Layout) -> None:
        images.wait_for_containerd(layout)
        images.drop_containers(layout)
        own = [
            images.archive_of(Path(layout.binary("pause")), images.PAUSE),
            images.archive_of(Path(layout.binary("probe")), images.PROBE),
        ]
        images.load(layout, [*own, *self._images], echo=self._say)

    def _finish_node(self, layout: Layout) -> None:
        kubectl.apply(layout, (layout.conf / "bootstrap.yaml").read_text(encoding="utf-8"))
        nodes.wait_ready(layout)
        self._say("node Ready")
        self._wait(layout, s3.answers, "s3", "S3 server ready")
        self._wait(layout, nodes.dns_answers, "coredns", "cluster DNS ready")

    def _wait(self, layout: Layout, probe: Callable[[Layout], bool], name: str, done: str) -> None:
        log = service.log_file(layout, name)

        def ready() -> bool:
            if service.pid(layout, name) is None:
                raise ClusterError(f"{name} ended at once; last line of {log}: {process.last_line(log)}")
            return probe(layout)

        process.wait_until(ready, what=name, timeout=60, log=log)
        self._say(done)

    def _clear(self) -> None:
        """Whatever an earlier cluster of this name left."""
        if not self.state.exists():
            return
        process.kill_members(self.state)
        try:
            layout = load(self.state)
        except ClusterError:
            layout = None
        if layout is not None:
            self._stop_everything(layout)
        shutil.rmtree(self.state)

    def _stop_everything(self, layout: Layout) -> None:
        """All but the state folder, whose logs may be wanted."""
        process.kill_members(layout.state)
        if layout.tier is Tier.NODE:
            node.remove(layout)


def _refuse_second_node(name: str) -> None:
    """The node's addresses are fixed, so a machine carries one node at a time."""
    for folder in clusters_root().iterdir():
        if folder.name == name or not folder.is_dir():
            continue
        layout = load(folder)
        if layout is not None and layout.tier is Tier.NODE and process.members(folder):
            raise ClusterError(
                f"cluster {folder.name} of tier node is up, and a machine carries one: 'down --name {folder.name}' first"
            )
