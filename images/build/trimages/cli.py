"""Command line of the image builder. Invariant: results go to standard output, progress to standard error."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from . import requirements
from .build import build, copy_archives
from .errors import BuildError
from .paths import REPOSITORY, Cache, default_cache
from .plan import BASE_SOURCES, PlannedImage, chosen_base, plan
from .sizes import measure
from .spec import IMAGES, select


def main(argv: list[str]) -> int:
    """Run one command; returns 0 on success, 1 after printing an error."""
    arguments = _parser().parse_args(argv)
    cache = Cache(arguments.cache.resolve()) if arguments.cache else default_cache()
    try:
        arguments.command(arguments, cache)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _build(arguments: argparse.Namespace, cache: Cache) -> None:
    started = time.monotonic()
    images = select(arguments.only)
    planned = build(images, requested_base=arguments.base, repository=REPOSITORY, cache=cache, echo=_echo)
    if arguments.out:
        copy_archives(planned, arguments.out)
    _print(planned, as_json=arguments.json)
    _echo(f"{len(planned)} images ready in {time.monotonic() - started:.1f} s")


def _list(arguments: argparse.Namespace, cache: Cache) -> None:
    _print(_planned(arguments, cache), as_json=arguments.json)


def _sizes(arguments: argparse.Namespace, cache: Cache) -> None:
    for item in _planned(arguments, cache):
        if not item.built:
            raise BuildError(f"image {item.image.name} is not built: run 'make images'")
        size = measure(item.archive)
        numbers = f"{size.compressed / 1e6:6.0f} MB compressed {size.unpacked / 1e6:6.0f} MB unpacked"
        print(f"{item.image.name:12} {numbers} {size.layers:3} layers")


def _check_requirements(_: argparse.Namespace, __: Cache) -> None:
    for name in requirements.check_all(REPOSITORY):
        print(f"{name}: resolves, up to date")


def _compile_requirements(_: argparse.Namespace, __: Cache) -> None:
    for name in requirements.compile_all(REPOSITORY):
        print(f"{name}: written")


def _planned(arguments: argparse.Namespace, cache: Cache) -> list[PlannedImage]:
    base = chosen_base(cache, arguments.base)
    return plan(select(arguments.only), repository=REPOSITORY, cache=cache, base=base)


def _print(planned: list[PlannedImage], *, as_json: bool) -> None:
    if as_json:
        rows = {
            item.image.name: {"ref": item.reference, "archive": str(item.archive), "built": item.built}
            for item in planned
        }
        print(json.dumps(rows, indent=2))
        return
    for item in planned:
        print(f"{item.image.name:12} {item.reference}  {item.archive if item.built else '(not built)'}")


def _echo(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trimages", description="Build TrainingRun's container images.")
    parser.add_argument(
        "--cache", type=Path, help="cache folder (default: trainingrun/images in the user's cache folder)"
    )
    commands = parser.add_subparsers(required=True)
    names = ", ".join(image.name for image in IMAGES)
    for name, command, text in (
        ("build", _build, "build what is not in the cache"),
        ("list", _list, "print references and archives of the images of the current sources"),
        ("sizes", _sizes, "measure the built images"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(command=command)
        sub.add_argument(
            "--base",
            choices=BASE_SOURCES,
            help="where base images come from (default: a registry if one answers; remembered for later builds)",
        )
        sub.add_argument("--only", nargs="+", default=[], metavar="IMAGE", help=f"only these images, of {names}")
        if command is not _sizes:
            sub.add_argument("--json", action="store_true", help="print a JSON object: name -> {ref, archive, built}")
        if command is _build:
            sub.add_argument("--out", type=Path, help="also put the archives into this folder as NAME.tar")
    check = commands.add_parser("check-requirements", help="check that requirement files resolve and are up to date")
    check.set_defaults(command=_check_requirements)
    write = commands.add_parser(
        "compile-requirements", help="rewrite the requirement files with the newest versions allowed"
    )
    write.set_defaults(command=_compile_requirements)
    return parser
