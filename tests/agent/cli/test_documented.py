"""Commands and the CronJob in the documentation work as they are shown there."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml

from cli_shell import Shell
from trainingrun_agent.cli.main import parser
from trainingrun_agent.command import main as agent
from trdemo.documented_commands import Command, commands, difference
from trimages.paths import REPOSITORY
from voc_data import jpeg, labelled, voc

PAGES = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md"]
ALL = [command for page in PAGES for command in commands(page)]
OURS = [command for command in ALL if command.text.startswith("trainingrun ")]
IN_IMAGE = [command for command in ALL if command.text.startswith("docker run ")]


def location(command: Command) -> str:
    return command.location


@pytest.fixture
def tires(shell: Shell) -> Shell:
    """The folders of the user guide, with a few defects."""
    for split, count in (("train", 12), ("test", 20)):
        for index in range(count):
            shell.add(f"tire/images/{split}/tire_{index:03}", jpeg(seed=f"{split}{index}"))
    shell.write("tire/images/train/tire_003.jpg", jpeg(seed="train3")[:-27])
    for index in (5, 8):
        box = labelled(box=(10, 20, 10, 80))
        shell.write(f"tire/images/train/tire_{index:03}.xml", voc([box, labelled()]))
    return shell


@pytest.mark.parametrize("command", OURS, ids=location)
def test_every_documented_command_can_be_parsed(command: Command) -> None:
    parser().parse_args(shlex.split(command.text)[1:])


@pytest.mark.usefixtures("real_limits")
@pytest.mark.parametrize("command", [command for command in OURS if "tire/" in command.text], ids=location)
def test_commands_on_folders_print_what_the_page_shows(tires: Shell, command: Command) -> None:
    ended = tires.run(*shlex.split(command.text)[1:])
    if command.shown:
        assert difference(command.shown, ended.out) == ""
    else:
        assert ended.code == 1  # the defects above


@pytest.mark.parametrize("command", IN_IMAGE, ids=location)
def test_the_entry_point_of_the_image_accepts_documented_commands(
    tires: Shell, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command.text)
    image = next(at for at, word in enumerate(words) if word.endswith("/agent:0.1.0"))
    assert agent(words[image + 1 :]) == 1
    assert "TooManyBadFiles" in capsys.readouterr().out
    assert 'ENTRYPOINT ["python3", "-m", "trainingrun_agent"]' in (REPOSITORY / "images/agent/Dockerfile").read_text()


def test_pip_installs_the_package_that_has_the_command() -> None:
    [command] = {command.text for command in ALL if command.text.startswith("pip install")}
    project = tomllib.loads((REPOSITORY / command.split()[2] / "pyproject.toml").read_text())["project"]
    assert "trainingrun" in project["scripts"]


def cron_job() -> Any:
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    blocks = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    [found] = [block for block in blocks if isinstance(block, dict) and block.get("kind") == "CronJob"]
    return found


def test_the_cron_job_calls_an_existing_command() -> None:
    [container] = cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    arguments = parser().parse_args(container["args"])
    assert (arguments.command, arguments.bucket, arguments.delete) == ("prune", "detectors", True)


def test_the_cron_job_is_restricted() -> None:
    pod = cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert [container["securityContext"] for container in pod["containers"]] == [
        {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ]
