"""Create and remove the node: a set of namespaces (mount, network, pid, uts, ipc) and a veth pair to the host.

Invariant: when the node's first process ends, the kernel removes all its processes, mounts and networks. Cgroups and
one sysctl remain on the host; ``remove`` restores them, however the node ended.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from . import cgroups, process
from .errors import ClusterError
from .layout import HOST_IP, NODE_IP, NODE_NAME, POD_CIDR, SERVICE_CIDR, Layout
from .paths import CONF, check_visible_in_node
from .waiting import until

LINK = "trn0"
_INSIDE_LINK = "trn1"
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_NEEDED = 8192


def _link() -> Path:
    return Path("/sys/class/net") / LINK


def _link_is_ours(state: Path) -> Path:
    """File that exists once this cluster creates the link, so that no cluster removes another one's link."""
    return state / "link"


def _init_file(state: Path) -> Path:
    return state / "init.pid"


def create(layout: Layout) -> None:
    """Create namespaces, network and cgroups; raises ClusterError with the reason."""
    check_visible_in_node(layout.state)
    if _link().exists():
        raise ClusterError(f"network link {LINK} already exists: a node of another cache folder or user is up")
    _link_is_ours(layout.state).touch()
    log = layout.log / "init.log"
    ready = layout.state / "init.ready"
    unshare = ["unshare", "-m", "-n", "-p", "-u", "-i", "--fork", "--mount-proc", "--propagation", "private"]
    outer = process.spawn(
        [*unshare, "--", "bash", str(CONF / "node-init.sh"), str(layout.state), NODE_NAME],
        state=layout.state,
        log=log,
    )
    until(ready.exists, what="the node's namespaces", seconds=60, every=0.02, seen=lambda: process.end_of(log))
    init = process.child_of(outer)
    if init is None:
        raise ClusterError(f"the node's first process ended: {process.end_of(log)}")
    _init_file(layout.state).write_text(str(init), encoding="ascii")
    _connect(layout, init)
    _raise_inotify_limit(layout.state)
    cgroups.create(layout.cgroup)


def _connect(layout: Layout, init: int) -> None:
    """Configure both ends of the veth pair. Without a default route, nothing in the node reaches the outside."""
    host = [
        f"link add {LINK} type veth peer name {_INSIDE_LINK} netns {init}",
        f"addr add {HOST_IP}/30 dev {LINK}",
        f"link set {LINK} up",
        f"route add {POD_CIDR} via {NODE_IP}",
        f"route add {SERVICE_CIDR} via {NODE_IP}",
    ]
    inside = [
        f"addr add {NODE_IP}/30 dev {_INSIDE_LINK}",
        f"link set {_INSIDE_LINK} up",
        # Without a route, the kernel rejects a Service address before kube-proxy's rules rewrite it.
        f"route add {SERVICE_CIDR} dev cni0",
    ]
    for line in host:
        process.run(["ip", *line.split()], state=layout.state)
    for line in inside:
        process.run([*enter(layout), "ip", *line.split()], state=layout.state)


def enter(layout: Layout) -> list[str]:
    """The command prefix that runs a program inside the node; raises ClusterError when there is no node."""
    try:
        init = int(_init_file(layout.state).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        init = 0
    if not init or not process.belongs(init, layout.state):
        raise ClusterError(f"cluster {layout.name} has no running node: 'up --tier node --name {layout.name}'")
    return ["nsenter", "-t", str(init), "-m", "-n", "-p", "-u", "-i", "--"]


def _raise_inotify_limit(state: Path) -> None:
    before = int(_INOTIFY.read_text(encoding="ascii"))
    if before < _INOTIFY_NEEDED:
        (state / "inotify").write_text(str(before), encoding="ascii")
        _INOTIFY.write_text(str(_INOTIFY_NEEDED), encoding="ascii")


def _restore_inotify_limit(state: Path) -> None:
    with suppress(FileNotFoundError, ValueError):
        before = int((state / "inotify").read_text(encoding="ascii"))
        if int(_INOTIFY.read_text(encoding="ascii")) == _INOTIFY_NEEDED:
            _INOTIFY.write_text(str(before), encoding="ascii")


def _link_removed(layout: Layout) -> bool:
    with suppress(ClusterError):
        process.run(["ip", "link", "del", LINK], state=layout.state)
    return not _link().exists()


def remove(layout: Layout) -> None:
    """Remove what a node leaves on the host after its processes have ended; harmless when there is nothing."""
    if _link_is_ours(layout.state).exists():
        # The kernel removes the link some milliseconds after the namespace.
        until(partial(_link_removed, layout), what=f"network link {LINK} to go ('ip link del {LINK}')", seconds=30)
    cgroups.remove(layout.cgroup)
    _restore_inotify_limit(layout.state)
