"""Define the command line's arguments. Invariant: each command names the function that runs it."""

from __future__ import annotations

import argparse

from . import commands
from .layout import Tier
from .service import ACTIONS


def parser() -> argparse.ArgumentParser:
    """Build the argument parser; the parsed namespace has ``run``, the command's function."""
    top = argparse.ArgumentParser(prog="trcluster", description="A real Kubernetes cluster from source, for tests.")
    verbs = top.add_subparsers(required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="default", help="which cluster (default: %(default)s)")

    up = verbs.add_parser("up", parents=[named], help="build what is missing and start a cluster")
    up.add_argument("--tier", choices=[tier.value for tier in Tier], default="node", help="default: %(default)s")
    up.add_argument("--images", nargs="+", default=[], metavar="PATH", help="OCI archives, or folders of *.tar")
    up.add_argument("--audit", action="store_true", help="API server writes log/audit.log, level Metadata")
    up.add_argument("--nodes", type=int, default=5, help="fake nodes of tier fleet (default: %(default)s)")
    up.set_defaults(run=commands.up)

    down = verbs.add_parser("down", parents=[named], help="stop a cluster and remove everything it created")
    down.add_argument("--purge", action="store_true", help="also remove the images imported into its node")
    down.set_defaults(run=commands.down)

    status = verbs.add_parser("status", parents=[named], help="list the cluster's services, or with --all all clusters")
    status.add_argument("--all", action="store_true")
    status.set_defaults(run=commands.status)

    verbs.add_parser("kubeconfig", parents=[named], help="print the path of the kubeconfig").set_defaults(
        run=commands.kubeconfig
    )
    logs = verbs.add_parser("logs", parents=[named], help="print a service's log")
    logs.add_argument("service")
    logs.add_argument("--tail", type=int, default=0, metavar="N", help="only the last N lines")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.set_defaults(run=commands.logs)

    service = verbs.add_parser("service", parents=[named], help="start, stop, kill, pause or resume one daemon")
    service.add_argument("action", choices=list(ACTIONS))
    service.add_argument("service")
    service.set_defaults(run=commands.service)

    _add_tools(verbs, named)
    return top


def _add_tools(verbs: argparse._SubParsersAction[argparse.ArgumentParser], named: argparse.ArgumentParser) -> None:
    execute = verbs.add_parser("exec", parents=[named], help="run a command inside the node")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    execute.set_defaults(run=commands.execute)

    image = verbs.add_parser("image", help="import images into the node").add_subparsers(
        required=True, metavar="ACTION"
    )
    load = image.add_parser("import", parents=[named], help="import archives that the node lacks")
    load.add_argument("paths", nargs="+", metavar="PATH")
    load.set_defaults(run=commands.import_images)

    gpu = verbs.add_parser("gpu", help="set the number of fake GPUs").add_subparsers(required=True, metavar="ACTION")
    count = gpu.add_parser("set", parents=[named], help="let the node advertise N nvidia.com/gpu")
    count.add_argument("count", type=int, metavar="N")
    count.set_defaults(run=commands.set_gpus)

    store = verbs.add_parser("s3", parents=[named], help="print address and account of the S3 server")
    store.add_argument("--json", action="store_true", help="print a JSON object instead of shell variables")
    store.set_defaults(run=commands.s3)

    build = verbs.add_parser("build", help="build the binaries of a tier without starting anything")
    build.add_argument("--tier", choices=[tier.value for tier in Tier], default="node", help="default: %(default)s")
    build.set_defaults(run=commands.build_binaries)

    binary = verbs.add_parser("bin", help="print the path of a built command, e.g. kubectl, helm")
    binary.add_argument("command")
    binary.set_defaults(run=commands.binary)

    verbs.add_parser("packages", help="install the Debian packages that are missing").set_defaults(
        run=commands.packages
    )
