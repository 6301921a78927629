"""The TensorBoard mirror: a local copy of the run's event files that grows as they grow in the bucket."""

from __future__ import annotations

from trainingrun_agent.mirror.loop import run

__all__ = ["run"]
