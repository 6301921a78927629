"""Run the commands of README.md and docs/ against the installed operator, page by page, and check their output.

trdemo/command_table.py lists the commands that are tested in another way, and why.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster.command import run
from trdemo import install, user_shell
from trdemo.command_table import Way, documented, way_of
from trdemo.documented_commands import Command, difference
from trdemo.follow import condition
from trdemo.installation import Installation, Object, tire_run
from trdemo.tires import draw_set
from trdemo.watched_run import WatchedRun
from trimages.paths import REPOSITORY

pytestmark = pytest.mark.node

SECONDS = 180  # for one command on a busy machine
AGENT = str(REPOSITORY / "images" / "agent")
NOTES = b"uploaded as the guide says"
PHOTOS = 20
ENDLESS = ("--watch", "port-forward")
COMMANDS = documented(Way.RUN, Way.DRY_RUN, Way.HELM)


@dataclass(frozen=True, slots=True)
class Terminal:
    """A folder with the files that the documentation mentions, in which its commands run."""

    installation: Installation
    folder: Path
    env: dict[str, str]

    def filled(self, command: Command) -> str:
        """The command with its placeholders filled in, and as a dry run where its row says so."""
        text = command.text
        for placeholder, value in self.placeholders.items():
            text = text.replace(placeholder, value)
        way = way_of(command)
        if way is Way.DRY_RUN or (way is Way.HELM and " uninstall " not in text):
            text += " --dry-run=server"
        elif way is Way.HELM:
            text += " --dry-run"
        return "\n".join([*self._settings(command), text])

    @property
    def placeholders(self) -> dict[str, str]:
        return {
            "https://s3.example.com": self.installation.target.storage.endpoint,
            "tire-7a77ca6c": "old-7a77ca6c",  # other tests read the files of the run tire
            "6006:6006": ":6006",  # any free port
            "NAME": "tire",
            "<run>-<stage>-<attempt>": "lost-prep-1",  # a failed attempt: its Job is kept
            "job/tire-train-1": "job/lost-prep-1",
            "<run>": "tire",
        }

    def _settings(self, command: Command) -> list[str]:
        """The variables that the command uses, as its page sets them above it."""
        used = re.findall(r"\$(\w+)", command.text)
        before = (other for other in documented(Way.SET) if other.page == command.page and other.line < command.line)
        return [other.text for other in before if any(f"{name}=" in other.text for name in used)]


@pytest.fixture(scope="module")
def terminal(
    installation: Installation, watched_run: WatchedRun, vision: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("documented")
    for name in ("charts", "manifests"):
        (folder / name).symlink_to(REPOSITORY / name)
    storage, kubectl = installation.target.storage, installation.target.kubectl
    keys = {"AWS_ACCESS_KEY_ID": storage.access_key, "AWS_SECRET_ACCESS_KEY": storage.secret_key}
    (folder / "s3.env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    (folder / "values.yaml").write_text(yaml.safe_dump(install.image_values(installation.images)))
    user_shell.write(installation.target, folder / "demo-output")
    (folder / "photos").mkdir()
    for photo in draw_set(PHOTOS, seed=1, prefix="photo"):
        (folder / "photos" / photo.name).write_bytes(photo.jpeg)
        (folder / "photos" / photo.name).with_suffix(".xml").write_bytes(photo.xml)
    (folder / "tire").mkdir()
    (folder / "tire" / "notes.txt").write_bytes(NOTES)
    (folder / "tire.yaml").write_bytes(install.sample("tire.yaml").read_bytes())
    typo = tire_run("typo", train={"steps": 0}, dataset={"train": {"uri": "tire/images/train"}})
    (folder / "typo.yaml").write_text(yaml.safe_dump(typo))
    (folder / "prune.yaml").write_text(shown_cron_job(installation))
    config = folder / "kubeconfig"
    config.write_text(Path(kubectl.kubeconfig).read_text())
    tools = [Path(kubectl.binary).parent, Path(installation.target.helm).parent]
    path = os.pathsep.join([*map(str, tools), os.environ["PATH"]])
    keys |= {"AWS_ENDPOINT_URL": storage.endpoint, "AWS_REGION": "us-east-1", "AWS_PAGER": ""}
    env = {**os.environ, **keys, "KUBECONFIG": str(config), "PATH": path}
    run(["kubectl", "config", "set-context", "--current", f"--namespace={vision}"], env=env, timeout=SECONDS)
    yield Terminal(installation, folder, env)
    installation.target.kubectl("delete", "cronjob", "trainingrun-prune", "-n", "vision", "--ignore-not-found")


def shown_cron_job(installation: Installation) -> str:
    """The CronJob of docs/operations.md, with the image and the S3 server of this cluster."""
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    [block] = re.findall(r"```yaml\n(apiVersion: batch/v1\nkind: CronJob\n.*?)```", text, re.DOTALL)
    image = block.replace("registry.example.com/trainingrun/agent:0.1.0", installation.images["agent"])
    return image.replace("https://s3.example.com", installation.target.storage.in_cluster)


def without_the_secret(terminal: Terminal) -> None:
    terminal.installation.target.kubectl("delete", "secret", install.SECRET, "-n", "vision", "--ignore-not-found")


def a_failed_attempt(terminal: Terminal) -> None:
    terminal.installation.apply(tire_run("lost", storage={"bucket": "no-such-bucket"}), namespace="vision")
    terminal.installation.finished("lost", namespace="vision", seconds=SECONDS)


def an_old_run(terminal: Terminal) -> None:
    terminal.installation.bucket.put_all([("runs/vision/old-7a77ca6c/train/0001-0a1b2c3d/last.json", b"{}")])


def the_old_run_is_gone(terminal: Terminal) -> None:
    assert terminal.installation.bucket.keys("runs/vision/old-7a77ca6c/") == {}


def nothing_was_pruned(terminal: Terminal) -> None:
    log = terminal.installation.target.kubectl("logs", "job/prune-now", "-n", "vision")
    assert re.match(r"detectors: \d+ data sets, [1-9]\d* of them needed\n", log)
    assert log.endswith("\nNothing to delete.\n")


def classes_of_the_photos(terminal: Terminal) -> None:
    """What a user does between the commands: write the class names."""
    file = terminal.folder / "photos.yaml"
    text = file.read_text()
    assert "classes: [cat, dog]" in text
    file.write_text(text.replace("classes: [cat, dog]", "classes: [tire]"))


def the_object_that_doctor_writes(terminal: Terminal) -> None:
    """Run the command above it in the guide, with the S3 server of this cluster."""
    storage, photos = terminal.installation.target.storage, terminal.folder / "photos"
    argv = [sys.executable, "-m", "trainingrun_agent", "doctor", str(photos), "--name", "checked"]
    argv += ["--endpoint", storage.in_cluster, "--bucket", "detectors", "--write", "trainingrun.yaml", "--force"]
    run(argv, cwd=terminal.folder, env={**terminal.env, "PYTHONPATH": AGENT}, timeout=SECONDS)


def the_photos_are_prepared(terminal: Terminal, name: str = "photos") -> Object:
    def prepared(status: dict[str, Any]) -> bool:
        return condition(status, "Prepared") == "True"

    status = terminal.installation.until(
        name, prepared, namespace="vision", seconds=SECONDS, what="the prepared data set"
    )
    assert status["dataset"]["trainImages"] + status["dataset"]["evalImages"] == PHOTOS
    terminal.installation.target.kubectl("delete", "trainingrun", name, "-n", "vision", timeout=SECONDS)
    return status


def the_checked_photos_are_prepared(terminal: Terminal) -> None:
    """Also without a GPU: training waits for one, as the object asks."""
    status = the_photos_are_prepared(terminal, "checked")
    assert status["dataset"]["format"] == "pascalVOC"
    assert status["dataset"]["errors"] == 0


def the_folder_is_there(terminal: Terminal) -> None:
    assert terminal.installation.bucket.read("tire/notes.txt") == NOTES


BEFORE: dict[str, Callable[[Terminal], None]] = {
    "create secret": without_the_secret,
    "logs job/": a_failed_attempt,
    "aws s3 rm": an_old_run,
    "apply --filename photos.yaml": classes_of_the_photos,
    "apply --filename trainingrun.yaml": the_object_that_doctor_writes,
}
AFTERWARDS: dict[str, Callable[[Terminal], object]] = {
    "aws s3 rm": the_old_run_is_gone,
    "s3 cp --recursive tire/": the_folder_is_there,
    "apply --filename photos.yaml": the_photos_are_prepared,
    "apply --filename trainingrun.yaml": the_checked_photos_are_prepared,
    "logs job/prune-now": nothing_was_pruned,
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.location)
def test_command_does_what_it_says(terminal: Terminal, command: Command) -> None:
    for prepare in (do for part, do in BEFORE.items() if part in command.text):
        prepare(terminal)
    execute = until_it_prints if any(word in command.text for word in ENDLESS) else to_its_end
    code, output = execute(terminal, terminal.filled(command))
    fails = command.shown.startswith(("Error", "The TrainingRun"))
    assert (code != 0) is fails, output
    if execute is to_its_end and command.shown:
        assert difference(command.shown, output) == ""
    for check in (do for part, do in AFTERWARDS.items() if part in command.text):
        check(terminal)


def to_its_end(terminal: Terminal, text: str) -> tuple[int, str]:
    argv = ["bash", "-euc", text]
    done = subprocess.run(
        argv, cwd=terminal.folder, env=terminal.env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout + done.stderr


def until_it_prints(terminal: Terminal, text: str) -> tuple[int, str]:
    """Run a command that does not end: exit code 0 once it printed a line; a forwarded port must serve TensorBoard."""
    options = {"cwd": terminal.folder, "env": terminal.env, "start_new_session": True}
    with subprocess.Popen(["bash", "-euc", text], stdout=subprocess.PIPE, text=True, **options) as process:
        assert process.stdout is not None
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if selector.select(SECONDS) else ""
            forwarded = re.match(r"Forwarding from (127\.0\.0\.1:\d+)", line)
            if forwarded:
                with urllib.request.urlopen(f"http://{forwarded[1]}/", timeout=10) as page:
                    line += page.read().decode()
                assert "TensorBoard" in line
            time.sleep(0.2)
            return (0 if line and process.poll() is None else 1), line
        finally:
            os.killpg(process.pid, signal.SIGKILL)
