"""Each command in the documentation has a row that says how it is tested; its syntax is tested here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from trdemo.command_table import ROWS, Way, documented, way_of
from trdemo.documented_commands import Command, commands, difference
from trimages.paths import REPOSITORY
from trimages.spec import select

ALL = documented()


def location(command: Command) -> str:
    return command.location


def test_no_command_is_unclassified() -> None:
    assert [f"{command.location}: {command.text}" for command in ALL if way_of(command) is None] == []
    assert len(ALL) > 60


def test_no_row_is_left_over() -> None:
    texts = [command.text for command in ALL]
    assert [row.pattern for row in ROWS if not any(re.match(row.pattern, text) for text in texts)] == []


def test_what_is_not_run_says_why() -> None:
    assert [row.pattern for row in ROWS if row.way not in {Way.RUN, Way.SET} and not row.why] == []
    named = [row.why for row in ROWS if row.way is Way.ELSEWHERE]
    assert [file for file in named if not (REPOSITORY / file).is_file()] == []


@pytest.mark.parametrize("command", ALL, ids=location)
def test_bash_can_read_it(command: Command) -> None:
    done = subprocess.run(["bash", "-n"], input=command.text, capture_output=True, text=True, timeout=60, check=False)
    if "<" not in command.text:  # a placeholder such as <run> would be a redirection
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", documented(Way.MAKE), ids=location)
def test_make_knows_it(command: Command) -> None:
    words = command.text.split()
    done = subprocess.run([*words[:1], "-n", *words[1:]], cwd=REPOSITORY, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_docker_builds_every_image_of_its_own_dockerfile() -> None:
    texts = [command.text for command in documented(Way.DOCKER)]
    built = {found[1] for text in texts if (found := re.search(r" -f (\S+) ", text))}
    assert built == {str(image.dockerfile) for image in select([])}


PAGE = """
# First

text `kubectl get nothing`

```sh
one --flag \\
  --more            # comment
two 'a # b'
```

## Second
```console
$ three
line 1
  line 2
$ four
```
```yaml
$ five
```
"""


def test_commands_are_read_with_their_output(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert commands(page) == [
        Command("page.md", 7, "First", "one --flag --more"),
        Command("page.md", 9, "First", "two 'a # b'"),
        Command("page.md", 14, "Second", "three", "line 1\n  line 2"),
        Command("page.md", 17, "Second", "four"),
    ]


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ("tire   Training   50%   3s", "tire Training 50%     1m12s\n", True),
        ("tire   Training   50%   3s", "tire   Training   51%   3s", False),
        ("pod tire-train-1-7xk2p in s3://b/tire-0a1b2c3d/", "pod tire-train-1-abcde in s3://b/tire-ffffffff/", True),
        ("a message that\nis long", "a message that is long", True),
        ("…\nEvents: one", "much\nmore\nEvents: one", True),
        ("…\nEvents: one", "much\nmore\nEvents: two", False),
        ("begin … end", "begin end", True),
        ("Error", "", False),
    ],
)
def test_only_what_may_differ_differs(shown: str, real: str, same: bool) -> None:
    assert (difference(shown, real) == "") is same
