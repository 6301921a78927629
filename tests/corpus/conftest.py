"""One line per set at the end."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("public data sets")
    for kind in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(kind, []):
            name = report.nodeid.partition("[")[2].rstrip("]")
            line = report.longrepr[2] if kind == "skipped" else dict(report.user_properties).get("corpus", kind)
            terminalreporter.line(f"{name:32} {line}")
