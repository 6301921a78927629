"""The arguments of the agent's image: `python3 -m trainingrun_agent prep | train | export | mirror`.

Invariant: the exit code of a stage is 0 only when it succeeded; how it ended is in the termination message. The
commands for people, such as `doctor`, are in cli/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from trainingrun_agent import __version__, cli, log
from trainingrun_agent.cli.main import COMMANDS as FOR_PEOPLE
from trainingrun_agent.config import Paths
from trainingrun_agent.server import PORT

COMMANDS = {
    "prep": "check storage, turn labelled images into TFRecord shards, write pipeline.config",
    "train": "fetch the data set for the trainer, upload checkpoints and events while it works",
    "export": "fetch the checkpoint for the exporter, upload the exported model",
    "mirror": "keep a local copy of the run's event files for TensorBoard",
}
_PATHS = {
    "resolved": "resolved spec of the run (JSON)",
    "credentials": "folder with one file per key of the credentials Secret",
    "ca_bundle": "CA bundle to trust when spec.storage.caBundle is set",
    "model_config": "pipeline.config of spec.model.config.configMap",
    "shared": "folder shared with the trainer; scratch of prep",
    "termination_log": "file the verdict is written to",
}


def parser() -> argparse.ArgumentParser:
    """The parser of the stages' arguments."""
    result = argparse.ArgumentParser(
        prog="python3 -m trainingrun_agent",
        description="Run a stage of a TrainingRun in its pod: the part that reads and writes object storage.",
        epilog="Exit codes: 0 the stage succeeded, 1 it failed, 2 wrong arguments. The commands for people"
        f" ({', '.join(FOR_PEOPLE)}) work here, too; see `trainingrun --help`.",
    )
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        for path in fields(Paths):
            flag = "--" + path.name.replace("_", "-")
            command.add_argument(
                flag,
                type=Path,
                default=path.default,
                metavar="PATH",
                help=f"{_PATHS[path.name]} (default: %(default)s)",
            )
        command.add_argument("--port", type=int, default=PORT, help="HTTP port (default: %(default)s)")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    if given and given[0] in FOR_PEOPLE:
        return cli.main(given)
    from trainingrun_agent.runner import run

    arguments = parser().parse_args(given)
    log.set_up()
    paths = Paths(**{path.name: getattr(arguments, path.name) for path in fields(Paths)})
    return run(arguments.command, env=os.environ, paths=paths, port=arguments.port)
