"""Implement the commands. Invariant: results go to standard output, progress to standard error."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path

from . import build, current, debian, node, process
from .cluster import Cluster
from .errors import ClusterError
from .layout import load
from .paths import clusters_root
from .tiers import COMMANDS


def say(line: str) -> None:
    """Print one line of progress."""
    print(line, file=sys.stderr, flush=True)


def _cluster(args: argparse.Namespace) -> Cluster:
    if current.wanted():
        raise ClusterError("CLUSTER=current: this command needs a cluster made by this program; unset CLUSTER")
    return Cluster(args.name, echo=say)


def up(args: argparse.Namespace) -> None:
    if current.wanted():
        say(f"CLUSTER=current: using {current.kubeconfig()}")
        return
    if args.nodes < 1:
        raise ClusterError("--nodes: at least 1")
    Cluster(args.name, tier=args.tier, images=args.images, audit=args.audit, fake_nodes=args.nodes, echo=say).up()


def down(args: argparse.Namespace) -> None:
    if current.wanted():
        say("CLUSTER=current: nothing is changed")
        return
    Cluster(args.name, echo=say).down(purge=args.purge)


def status(args: argparse.Namespace) -> None:
    if args.all:
        for folder in sorted(clusters_root().glob("[a-z0-9]*")):
            layout = load(folder)
            if layout is not None:
                print(f"{layout.name}\t{layout.tier}\t{'up' if layout.kubeconfig.exists() else 'not up'}")
        return
    services = _cluster(args).status()
    for each in services:
        print(f"{each.name}\t{f'pid {each.pid}' if each.pid else 'not running'}")
    if any(each.pid is None for each in services):
        raise ClusterError(f"cluster {args.name}: not all services run")


def kubeconfig(args: argparse.Namespace) -> None:
    print(current.kubeconfig() if current.wanted() else Cluster(args.name).kubeconfig)


def logs(args: argparse.Namespace) -> None:
    path = _cluster(args).log(args.service)
    if not path.exists():
        raise ClusterError(f"service {args.service} has no log yet: {path}")
    with path.open(encoding="utf-8", errors="replace") as handle:
        for line in deque(handle, maxlen=args.tail) if args.tail > 0 else handle:
            print(line, end="")
        while args.follow:
            print(handle.read(65536), end="", flush=True)
            time.sleep(0.5)


def service(args: argparse.Namespace) -> None:
    _cluster(args).service(args.action, args.service)


def execute(args: argparse.Namespace) -> None:
    argv = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not argv:
        raise ClusterError("exec: give the command after '--', e.g. exec -- crictl ps")
    layout = _cluster(args).layout
    command = [*node.enter(layout), *argv]
    os.execvpe(command[0], command, process.environment(layout.state))  # noqa: S606 - no shell is wanted


def import_images(args: argparse.Namespace) -> None:
    for reference in _cluster(args).import_images(args.paths):
        print(reference)


def set_gpus(args: argparse.Namespace) -> None:
    if args.count < 0:
        raise ClusterError("gpu set: N is 0 or more")
    _cluster(args).set_gpus(args.count)


def s3(args: argparse.Namespace) -> None:
    store = _cluster(args).s3
    if args.json:
        print(json.dumps(asdict(store)))
        return
    for name, value in {**store.environment(), "S3_IN_CLUSTER_ENDPOINT": store.in_cluster}.items():
        print(f"export {name}={shlex.quote(value)}")


def build_binaries(args: argparse.Namespace) -> None:
    for name, path in build.ensure(COMMANDS[args.tier], echo=say).items():
        print(f"{name}\t{path}")


def binary(args: argparse.Namespace) -> None:
    path: Path = build.ensure([args.command], echo=say)[args.command]
    print(path)


def packages(_args: argparse.Namespace) -> None:
    debian.ensure(echo=say)
