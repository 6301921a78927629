"""The agent's metrics as Prometheus text.

Invariant: the unit and the version are the only labels, so that cardinality stays bounded.
"""

from __future__ import annotations

from trainingrun_agent import __version__
from trainingrun_agent.progress import Progress


def exposition(progress: Progress) -> str:
    """The text for `/metrics` (format 0.0.4); gauges of progress only while they have a value."""
    document = progress.snapshot()
    down, up = progress.transferred_bytes()
    lines = _metric("build_info", "gauge", "Version of the agent.", 1, f'{{version="{__version__}"}}')
    label = f'{{unit="{document["unit"]}"}}' if "unit" in document else ""
    if "done" in document:
        lines += _metric("progress_done", "gauge", "Work done in the current phase.", document["done"], label)
    if "total" in document:
        lines += _metric("progress_total", "gauge", "Work of the current phase.", document["total"], label)
    if "percent" in document:
        lines += _metric("progress_percent", "gauge", "Percentage of the stage that is done.", document["percent"])
    if "etaSeconds" in document:
        text = "Estimated seconds until the stage is done."
        lines += _metric("progress_eta_seconds", "gauge", text, document["etaSeconds"])
    lines += _metric("storage_received_bytes_total", "counter", "Bytes read from object storage.", down)
    lines += _metric("storage_sent_bytes_total", "counter", "Bytes written to object storage.", up)
    ready = document.get("storage", {}).get("ready", True)
    lines += _metric("storage_ready", "gauge", "0 while object storage does not answer.", int(ready))
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, value: float, labels: str = "") -> list[str]:
    full = f"trainingrun_agent_{name}"
    return [f"# HELP {full} {text}", f"# TYPE {full} {kind}", f"{full}{labels} {value}"]
