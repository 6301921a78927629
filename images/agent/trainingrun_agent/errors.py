"""How a stage can end badly, one class per consequence.

Invariant: every exception that is meant to reach the user is a StageError. It holds an entry of the table of reasons
and the values for its templates; the text is made where it leaves the program, in the terms of its reader. No value
holds a credential. Anything else is a crash.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from trainingrun_agent.reasons.entry import Outcome, Reason, Step, sentence
from trainingrun_agent.reasons.pods import DISK_FULL, INTERRUPTED, SUPERSEDED
from trainingrun_agent.reasons.storage import (
    INTEGRITY_ERROR,
    OBJECT_CHANGED,
    OBJECT_LOCKED,
    OBJECT_NOT_FOUND,
    OBJECT_TOO_LARGE,
)
from trainingrun_agent.reasons.storage_answers import OBJECT_ARCHIVED
from trainingrun_agent.terms import TRAININGRUN, Change, Terms, Text

__all__ = [
    "UNUSABLE",
    "DiskFull",
    "IntegrityError",
    "Interrupted",
    "NotFound",
    "ObjectArchived",
    "ObjectChanged",
    "ObjectLocked",
    "ObjectTooLarge",
    "Outcome",
    "StageError",
    "StorageOutage",
    "StorageRefused",
    "Superseded",
    "UserError",
]


class StageError(Exception):
    """Ends a stage with a known outcome.

    `entry` is the reason, `values` are for its templates. `examples` are shown behind the message, where the reader
    does not see them elsewhere. `report` is a sentence that says where the report on the data is.
    """

    def __init__(self, entry: Reason, /, **values: object) -> None:
        super().__init__(entry)
        self.entry = entry
        self.values: Mapping[str, object] = values
        self.examples: tuple[Text | str, ...] = ()
        self.report: Text | str = ""
        self.more: tuple[Text, ...] = ()

    @property
    def reason(self) -> str:
        """The name of the reason, as conditions have it."""
        return self.entry.name

    @property
    def outcome(self) -> Outcome:
        """What a verdict calls such an end."""
        return self.entry.outcome

    @property
    def message(self) -> str:
        """What happened, for the reader of a TrainingRun."""
        return self.message_in(TRAININGRUN)

    @property
    def hint(self) -> str:
        """What to do next, for the reader of a TrainingRun."""
        return self.hint_in(TRAININGRUN)

    def message_in(self, terms: Terms, *, examples: bool = True) -> str:
        """What happened, in the terms of its reader."""
        texts = [terms.fill_known(self.entry.message, self.values)]
        if examples and self.examples:
            texts.append(f": {'; '.join(_text(example, terms) for example in self.examples)}")
        return "".join((*texts, *(more.in_terms(terms) for more in self.more)))

    def hint_in(self, terms: Terms) -> str:
        """What to do next, in the terms of its reader."""
        return sentence(terms.fill_known(self.entry.hint, {**self.values, **self._suggested(terms)}))

    def report_in(self, terms: Terms) -> str:
        """Where the report on the data is, in the terms of its reader; empty when there is none."""
        return _text(self.report, terms)

    def in_terms(self, terms: Terms) -> str:
        """The message, as a value of another error."""
        return self.message_in(terms)

    def change(self, terms: Terms) -> Change | None:
        """The field that a new run has to change first, with its value now and one to try where they are known."""
        if self.entry.step is not Step.NEW_RUN or not self.entry.fields:
            return None
        first = next(self._changes(), None) or next(iter(self._suggested(terms).values()), None)
        path = first.path if first else self.entry.fields[0]
        now = first.now if first and first.now is not None else terms.values.get(terms.path(path))
        return Change(terms.path(path), now, first.to if first else None)

    def with_examples(self, examples: Sequence[Text | str]) -> Self:
        """The same error, with the first of what it is about."""
        made = copy.copy(self)
        made.examples = tuple(examples)
        return made

    def with_report(self, report: Text | str) -> Self:
        """The same error, with the place of the report on the data."""
        made = copy.copy(self)
        made.report = report
        return made

    def with_more(self, more: Text) -> Self:
        """The same error with text appended to its message."""
        made = copy.copy(self)
        made.more = (*self.more, more)
        return made

    def _changes(self) -> Iterator[Change]:
        return (value for value in self.values.values() if isinstance(value, Change))

    def _suggested(self, terms: Terms) -> dict[str, Change]:
        if self.entry.suggest is None or not self.entry.fields:
            return {}
        path = self.entry.fields[0]
        now = terms.values.get(path)
        return {} if now is None else {"suggested": Change(path, now, self.entry.suggest(now))}

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


class UserError(StageError):
    """The spec or the data cannot work; a new attempt would end the same way."""


class ObjectTooLarge(StageError):
    """An object is larger than the bound its reader has for it; nothing of it was kept."""

    def __init__(self, entry: Reason = OBJECT_TOO_LARGE, /, **values: object) -> None:
        super().__init__(entry, **values)


class StorageRefused(StageError):
    """Storage refused a request: waiting does not help, something has to be changed."""


class NotFound(StorageRefused):
    """The object asked for does not exist."""

    def __init__(self, entry: Reason = OBJECT_NOT_FOUND, /, **values: object) -> None:
        super().__init__(entry, **values)


class ObjectChanged(StorageRefused):
    """The object is not the one that was listed any more."""

    def __init__(self, entry: Reason = OBJECT_CHANGED, /, **values: object) -> None:
        super().__init__(entry, **values)


class ObjectArchived(StorageRefused):
    """The object is in an archive, from which it must be restored first."""

    def __init__(self, entry: Reason = OBJECT_ARCHIVED, /, **values: object) -> None:
        super().__init__(entry, **values)


class ObjectLocked(StorageRefused):
    """The object must be kept for now, by a rule of its bucket; it cannot be deleted."""

    def __init__(self, entry: Reason = OBJECT_LOCKED, /, **values: object) -> None:
        super().__init__(entry, **values)


class StorageOutage(StageError):
    """Storage does not answer, or answers with 5xx: worth waiting for."""


class IntegrityError(StageError):
    """Bytes read differ in size or SHA-256 from what was promised, again after a second read."""

    def __init__(self, entry: Reason = INTEGRITY_ERROR, /, **values: object) -> None:
        super().__init__(entry, **values)


UNUSABLE = (NotFound, IntegrityError, ObjectTooLarge)
"""What reading an object raises that is gone, or that is not what was written."""


class DiskFull(StageError):
    """The pod's scratch space is used up."""

    def __init__(self, entry: Reason = DISK_FULL, /, **values: object) -> None:
        super().__init__(entry, **values)


class Superseded(StageError):
    """Another pod has taken this one's place."""

    def __init__(self, entry: Reason = SUPERSEDED, /, **values: object) -> None:
        super().__init__(entry, **values)


class Interrupted(StageError):
    """SIGTERM arrived; the next attempt continues where this one stopped."""

    def __init__(self, entry: Reason = INTERRUPTED, /, **values: object) -> None:
        super().__init__(entry, **values)


def _text(text: Text | str, terms: Terms) -> str:
    return text if isinstance(text, str) else text.in_terms(terms)
