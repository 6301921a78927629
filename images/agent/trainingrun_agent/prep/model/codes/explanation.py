"""A kind of finding explained, in Markdown: docs/findings.md has it per code, `trainingrun explain` prints one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from trainingrun_agent.prep.model.codes.kind import FILES, Example, FindingKind
from trainingrun_agent.terms import Terms

_LANGUAGES = {".txt": "text"}


def explanation(kind: FindingKind, terms: Terms) -> str:
    """Severity, meaning, effect, what was done, what to do, and an example; without a heading."""
    done = kind.done_text(terms)
    return "\n".join(
        (
            f"**{kind.severity.capitalize()}.** {kind.meaning}",
            "",
            f"**What it does to a detector.** {kind.effect}",
            "",
            f"**What preparation did.** {done[0].upper()}{done[1:]}.",
            "",
            f"**What to do.** {kind.advice_text(terms)}",
            "",
            *_example("Example", kind.example, kind.example.bad),
            *_example("Corrected", kind.example, kind.example.good),
        )
    )


def _example(title: str, example: Example, content: str) -> Iterator[str]:
    if not example.file:
        yield from (f"**{title}.** {content}", "")
        return
    if example.file == FILES:
        name, lines, language = "files", content.split(), "text"
    else:
        suffix = PurePosixPath(example.file).suffix
        name, lines = f"`{example.file}`", content.splitlines()
        language = _LANGUAGES.get(suffix, suffix.removeprefix("."))
    yield from (f"**{title}:** {name}", "", f"```{language}", *lines, "```", "")
