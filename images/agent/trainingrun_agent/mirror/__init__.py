"""The TensorBoard mirror: keeps a local copy of the run's event files up to date while they grow in the bucket."""

from __future__ import annotations

from trainingrun_agent.mirror.loop import run

__all__ = ["run"]
