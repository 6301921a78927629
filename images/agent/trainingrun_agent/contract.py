"""What all documents exchanged with the operator and the trainer have in common. Contracts: images/contracts."""

from __future__ import annotations

from typing import Literal

VERSION = 1
"""`contractVersion` of every document that the agent writes."""
READABLE_VERSIONS = (1,)
"""Versions of documents from others that this agent understands."""

Stage = Literal["prep", "train", "export"]
