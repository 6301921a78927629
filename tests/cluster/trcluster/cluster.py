"""The class Cluster: start, stop and use a cluster, from tests and from the command line.

Invariant: the object holds no state of the cluster, so any process can open a running cluster by its name.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import IO, Self

from . import bringup, build, debian, kubectl, node, nodes, process, s3, service, teardown
from . import images as node_images
from .checks import Probes, check_node_host, check_space_to_run
from .errors import ClusterError
from .layout import Layout, Ports, Tier, load
from .paths import cache_root, clusters_root, containerd_root, state_dir
from .tiers import COMMANDS, COMPONENTS

LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class ServiceStatus:
    """Status of one daemon: its ``pid`` on the host, None when it does not run."""

    name: str
    pid: int | None


@dataclass
class Cluster:
    """A cluster, identified by its name; the other fields are parameters of ``up``.

    ``images``: OCI archives, or folders of them, that tier node imports when it lacks them. ``audit``: write
    ``log/audit.log`` (level Metadata). ``fake_nodes``: how many nodes tier fleet has.
    """

    name: str = "default"
    _: KW_ONLY
    tier: Tier | str = Tier.NODE
    images: Iterable[Path | str] = ()
    audit: bool = False
    fake_nodes: int = 5
    echo: Callable[[str], None] = print
    probes: Probes = field(default_factory=Probes)

    def __post_init__(self) -> None:
        self.tier = Tier(self.tier)
        self.state = state_dir(self.name)

    def up(self) -> None:
        """Start the cluster and wait until it is ready.

        Raises ClusterError; then nothing but the state folder with its logs is left.
        """
        tier = Tier(self.tier)
        archives = node_images.archives(Path(path) for path in self.images)
        if tier is Tier.NODE:
            check_node_host(self.probes)
        check_space_to_run(self.probes, cache_root())
        with self._lock():
            teardown.clear(self.state)
            if tier is Tier.NODE:
                teardown.refuse_second_node(self.name)
                debian.ensure(echo=self.echo)
            built = build.ensure(COMMANDS[tier], echo=self.echo, probes=self.probes)
            binaries = {command: str(path) for command, path in built.items()}
            say = self._stopwatch()
            layout = bringup.prepare(Layout(self.name, tier, Ports(), binaries, self.audit, self.fake_nodes))
            try:
                bringup.start(layout, archives, say)
            except BaseException:
                teardown.stop(layout)
                raise

    def down(self, *, purge: bool = False) -> None:
        """Stop the cluster and remove everything it created, with ``purge`` also its images; harmless when down."""
        say = self._stopwatch()
        with self._lock():
            teardown.clear(self.state)
            if purge:
                shutil.rmtree(containerd_root(self.name), ignore_errors=True)
        say("down")

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

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
        """Status of each daemon of the tier, in the order of start."""
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
        """Standard output of kubectl as administrator; raises CommandError."""
        return kubectl.kubectl(self.layout, *arguments, stdin=stdin, timeout=timeout)

    def wait(self, *arguments: str, seconds: float = 120) -> None:
        """`kubectl wait`, also for what does not exist yet; raises WaitError."""
        kubectl.wait(self.layout, *arguments, seconds=seconds)

    def exec(self, argv: Sequence[str], *, timeout: float = 60) -> str:
        """Run a command inside the node; returns its standard output."""
        layout = self.layout
        return process.run([*node.enter(layout), *argv], state=layout.state, timeout=timeout)

    def import_images(self, paths: Iterable[Path | str]) -> list[str]:
        """Import the archives that the node lacks; returns the references of the imported images."""
        return node_images.load(self.layout, [Path(path) for path in paths], echo=self.echo)

    def set_gpus(self, count: int) -> None:
        """Let the node advertise ``count`` ``nvidia.com/gpu``."""
        nodes.set_gpus(self.layout, count)

    def _stopwatch(self) -> Callable[[str], None]:
        started = time.monotonic()
        return lambda text: self.echo(f"{time.monotonic() - started:6.1f} s  {self.name}: {text}")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One ``up`` or ``down`` of a name at a time; the kernel drops the lock of a killed program.

        Not at once: a child that it was starting holds the lock until the child executes another program.
        """
        clusters_root().mkdir(parents=True, exist_ok=True)
        with (clusters_root() / f".{self.name}.lock").open("w") as handle:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_lock(handle):
                if time.monotonic() > deadline:
                    busy = f"another 'up' or 'down' of cluster {self.name} is running"
                    raise ClusterError(f"{busy}: wait for it, or choose another --name")
                time.sleep(0.05)
            yield


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
