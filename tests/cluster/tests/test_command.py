"""A program that fails explains itself: the command, its exit code and what it printed last."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trcluster import command
from trcluster.command import CommandError, run


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_standard_output_is_returned(tmp_path: Path) -> None:
    program = "import os, sys; print(os.getcwd(), sys.stdin.read(), os.environ['A'])"
    said = run(python(program), timeout=60, stdin="in", env={"A": "b"}, cwd=tmp_path)
    assert said == f"{tmp_path} in b\n"


def test_a_failure_shows_command_exit_code_and_both_outputs() -> None:
    argv = python("import sys; print('half done'); sys.exit('no such bucket')")
    with pytest.raises(CommandError) as caught:
        run([*argv, "two words"], timeout=60)
    first, *rest = str(caught.value).splitlines()
    assert first.endswith("'two words' failed with exit code 1")
    assert rest == ["stderr:", "no such bucket", "stdout:", "half done"]
    assert (caught.value.code, caught.value.stdout, caught.value.stderr) == (1, "half done\n", "no such bucket\n")


def test_a_timeout_shows_what_was_printed_until_then() -> None:
    with pytest.raises(CommandError, match=r"did not end within 2 s\nstdout:\nwaiting for etcd$") as caught:
        run(["sh", "-c", "echo waiting for etcd; exec sleep 600"], timeout=2)
    assert caught.value.code is None


def test_a_program_that_printed_nothing_says_so() -> None:
    with pytest.raises(CommandError, match=r"failed with exit code 3\nit printed nothing$"):
        run(python("raise SystemExit(3)"), timeout=60)


def test_long_commands_and_outputs_are_cut() -> None:
    argv = python("import sys; [print('x' * 900) for _ in range(900)]; sys.exit(1) #" + "y" * 900)
    with pytest.raises(CommandError) as caught:
        run(argv, timeout=60)
    first, *rest = str(caught.value).splitlines()
    assert len(first) < command.COMMAND_LENGTH + 50
    assert rest == ["stdout:", *["x" * command.LINE_LENGTH] * command.LAST_LINES]
