"""Starting the command line, the modules that it imports, and stopping it in a terminal."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli_shell import Shell
from trainingrun_agent.cli import options
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.prep.source.readers import FORMATS

AGENT = Path(__file__).parents[3] / "images" / "agent"
HEAVY = ("boto3", "botocore", "obstore", "google.protobuf", "object_detection", "lxml", "PIL", "yaml", "tqdm")
FOR_STORAGE = ("boto3", "botocore", "obstore", "google.protobuf", "object_detection")
LOADED = "import sys; from trainingrun_agent.{module} import main\ntry:\n main({words!r})\nexcept SystemExit: pass\n"
LOADED += "print(' '.join(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)"


def started(*argv: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(AGENT)}
    return subprocess.run([sys.executable, *argv], env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ["cli", "command"])
@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["doctor", "--help"], HEAVY),
        (["doctor", "images"], FOR_STORAGE),
        (["prune", "--folder", "images"], FOR_STORAGE),
    ],
    ids=["help", "doctor", "prune of a folder"],
)
def test_only_needed_modules_are_imported(shell: Shell, module: str, words: list[str], heavy: tuple[str, ...]) -> None:
    done = started("-c", LOADED.format(module=module, words=words, heavy=heavy))
    assert (done.returncode, done.stderr) == (0, "\n")


def test_the_script_of_the_package_is_the_command_line() -> None:
    scripts = tomllib.loads((AGENT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["trainingrun"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_the_agents_own_command_line_has_the_same_commands(shell: Shell) -> None:
    shell.add("images/t9", b"")
    done = started("-m", "trainingrun_agent", "doctor", "images", "--json", "-")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["counts"] == {"ImageEmpty": 1}
    usage = started("-m", "trainingrun_agent", "--help").stdout
    assert "doctor, convert, explain, prune" in " ".join(usage.split())  # argparse wraps it to the terminal's width


def test_ctrl_c_in_a_terminal_prints_one_line(shell: Shell) -> None:
    os.mkfifo(shell.root / "names.txt")
    # As in a terminal, also when these tests are a background job: a shell starts those with SIGINT ignored.
    argv = ["env", "--default-signal=INT", sys.executable, "-m", "trainingrun_agent"]
    argv += ["doctor", "images", "--classes-file", "names.txt"]
    env = {**os.environ, "PYTHONPATH": str(AGENT)}
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process, (shell.root / "names.txt").open("wb"):  # blocks until the process opens it too
        output = interrupted(process)
    assert (process.returncode, *output) == (130, "", "trainingrun: stopped\n")


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C until the process ends, because a signal just before a blocking read does not interrupt the read."""
    for _ in range(12):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("Ctrl-C did not end it")


def test_a_closed_pipe_is_no_error(shell: Shell) -> None:
    argv = f"{sys.executable} -m trainingrun_agent doctor --help | head -1"
    env = {**os.environ, "PYTHONPATH": str(AGENT)}
    done = subprocess.run(["bash", "-c", argv], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "--json - > /dev/full"])
def test_closed_or_full_output_streams_cause_no_traceback(shell: Shell, streams: str) -> None:
    shell.add("images/a")
    command = f"{sys.executable} -m trainingrun_agent doctor images --eval-fraction 0.5 --classes car {streams}"
    env = {**os.environ, "PYTHONPATH": str(AGENT)}
    ended = subprocess.run(
        ["bash", "-c", command], cwd=shell.root, env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_options_offer_all_formats_and_networks() -> None:
    assert ("auto", *FORMATS) == options.FORMATS
    assert tuple(NETWORKS) == options.NETWORKS
