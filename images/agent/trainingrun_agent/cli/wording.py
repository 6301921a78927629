"""What is said about fields of a TrainingRun, said about options of the command line.

Invariant: only the words change; no message that reaches a person here speaks of spec, pods or a new run.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_Rule = tuple[str, str]

_SENTENCES: tuple[_Rule, ...] = (
    (r"create a new TrainingRun with the right dataset\.(train|eval)", r"name the right folder"),
    (r"Create a new TrainingRun with the names as they are", r"Give the names with --classes as they are"),
    (r"Create a new TrainingRun with another (?=evalFraction or splitSeed)", r"Take another "),
    (r"create a new TrainingRun with another (?=evalFraction or splitSeed)", r"take another "),
    (r"\bsplitSeed\b", r"--split-seed"),
    (r"with splitGroup: image\b", r"--split-group image"),
    (r"create a new TrainingRun with a higher dataset\.maxBadFiles", r"allow more with --max-bad-files"),
    (r", in a new run\b", r""),
    (r"raise spec\.retry to make it again", r"run it again"),
    (r"raise spec\.retry", r"run it again"),
    (r"before the run starts", r"first"),
    (r"give the prep pod more", r"free some, or set TMPDIR to a folder on another disk"),
    (r"Give the stage more ephemeral storage", r"Free some, or set TMPDIR to a folder on another disk"),
    (r"Something changed the file in the pod's scratch space", r"Something changed the file meanwhile"),
    (r", or start a new TrainingRun", r""),
    (r"\bthe URI\b", r"the folder"),
)
_FIELDS: tuple[_Rule, ...] = (
    (r"(?:spec\.)?dataset\.train\.imageSet", r"--image-set"),
    (r"(?:spec\.)?dataset\.eval\.imageSet", r"--eval-image-set"),
    (r"(?:spec\.)?dataset\.(?:train|eval)\.format", r"--format"),
    (r"(?:spec\.)?dataset\.classes", r"--classes"),
    (r"(?:spec\.)?dataset\.maxBadFiles", r"--max-bad-files"),
    (r"(?:spec\.)?dataset\.maxImageSide", r"--max-image-side"),
    (r"(?:(?:spec\.)?dataset\.)?\bevalFraction", r"--eval-fraction"),
)
_STORAGE: tuple[_Rule, ...] = (
    (r"the Secret named in spec\.storage\.credentials\.secretName", r"your AWS credentials"),
    (r"for a private CA set spec\.storage\.caBundle", r"for a private CA set AWS_CA_BUNDLE"),
    (r"spec\.storage\.(bucket|prefix|endpoint|region)\b", r"--\1"),
    (r"reachable from the namespace's pods", r"reachable from here"),
    (r"; the agent keeps trying", r""),
    (r"the clock of the node", r"the clock of this machine"),
    (r"this pod's clock", r"the clock of this machine"),
    (r"Put the object there, or correct the field that names it", r"Put the object there"),
    (r"Delete the object and raise spec\.retry to make it again", r"Look at it, and delete it if it is not needed"),
    (r"delete the object and raise spec\.retry", r"look at it, and delete it if it is not needed"),
)


def for_folders(train: str, evaluation: str | None) -> Callable[[str], str]:
    """Rewords what preparation says about data in these folders."""
    places = (
        (r"(?:spec\.)?dataset\.train(?:\.uri)?", _literal(train)),
        (r"(?:spec\.)?dataset\.eval(?:\.uri)?", _literal(evaluation or "--eval")),
        (r"s3://", ""),
    )
    return lambda text: _apply((*_SENTENCES, *_FIELDS, *places), text)


def plainly(text: str) -> str:
    """Rewords what is said about anything else."""
    return _apply((*_STORAGE, *_SENTENCES, *_FIELDS), text)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\")


def _apply(rules: tuple[_Rule, ...], text: str) -> str:
    for pattern, words in rules:
        text = re.sub(pattern, words, text)
    return text
