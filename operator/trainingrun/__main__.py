"""Start the operator: `python3 -m trainingrun`; settings come from the environment, see `--help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

import kopf

from trainingrun import __version__
from trainingrun.api.settings import Settings, SettingsError
from trainingrun.engine.operator import Operator
from trainingrun.handlers import make_registry
from trainingrun.logs import set_up
from trainingrun.plain_text import plain


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="trainingrun-operator",
        description="Operator of TrainingRun objects.",
        epilog="Settings are environment variables TRAININGRUN_*; the Helm chart sets them from its values.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args()
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"trainingrun-operator: {plain(str(error))}\n")
        return 2
    set_up(level=settings.log_level, style=settings.log_format)
    logging.getLogger(__name__).info("trainingrun-operator %s", __version__)
    # kopf otherwise names itself after the user, and a numeric user ID of a container has no name.
    os.environ.setdefault("POD_ID", settings.pod_name)
    operator = Operator(settings)
    asyncio.run(
        kopf.operator(
            registry=make_registry(operator),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
