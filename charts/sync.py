"""Write the parts of the chart that are generated from manifests/: CRD, permissions of the operator, roles for users.

Invariant: manifests/ is the only source. `--check` writes nothing and fails when a part differs from its source.
"""
# ruff: noqa: INP001 - a program, not part of a package

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "manifests"
TEMPLATES = ROOT / "charts" / "trainingrun-operator" / "templates"
NOTICE = "{{/* Generated from %s by charts/sync.py: change it there. */}}\n"
LABELS = "    app.kubernetes.io/name: trainingrun-operator\n    app.kubernetes.io/instance: trainingrun-operator\n"
CHART_LABELS = '    {{- include "trainingrun-operator.labels" . | nindent 4 }}\n'
KEEP = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
OWN_CLASS = "and .Values.crds.enabled (not .Values.tensorboard.priorityClassName)"


class SourceError(Exception):
    """A manifest lacks a part that the chart needs; the message names the file."""


def generate() -> dict[Path, str]:
    """The text of each generated template, by path."""
    crd, operator, claims, nodes, leases, users, priority = (
        MANIFESTS / "crd" / "trainingruns.trainingrun.dev.yaml",
        MANIFESTS / "rbac" / "cluster-role.yaml",
        MANIFESTS / "rbac" / "claims-role.yaml",
        MANIFESTS / "rbac" / "nodes-role.yaml",
        MANIFESTS / "rbac" / "leases-role.yaml",
        MANIFESTS / "rbac" / "user-roles.yaml",
        MANIFESTS / "operator" / "priority-class.yaml",
    )
    return {
        TEMPLATES / "crd.yaml": _guarded(crd, condition=".Values.crds.enabled", after_labels=KEEP),
        TEMPLATES / "user-roles.yaml": _guarded(users, condition=".Values.userRoles.enabled"),
        TEMPLATES / "priority-class.yaml": _guarded(priority, condition=OWN_CLASS),
        TEMPLATES / "_rules.tpl": "".join(
            _rules(source, name=name)
            for source, name in (
                (operator, "rules"),
                (claims, "claimRules"),
                (nodes, "nodeRules"),
                (leases, "leaseRules"),
            )
        ),
    }


def _guarded(source: Path, *, condition: str, after_labels: str = "") -> str:
    text = _read(source)
    if LABELS not in text:
        raise SourceError(f"{source}: no metadata.labels with app.kubernetes.io/name and instance, two lines")
    body = text.replace(LABELS, CHART_LABELS + after_labels)
    return f"{_notice(source)}{{{{- if {condition} }}}}\n{body}{{{{- end }}}}\n"


def _rules(source: Path, *, name: str) -> str:
    _, found, rules = _read(source).partition("\nrules:\n")
    if not found:
        raise SourceError(f"{source}: no line 'rules:'")
    return f'{_notice(source)}{{{{- define "trainingrun-operator.{name}" }}}}\n{rules}{{{{- end }}}}\n'


def _read(source: Path) -> str:
    text = source.read_text(encoding="utf-8")
    if "{{" in text:
        raise SourceError(f"{source}: it contains '{{{{', which Helm would read as a template")
    return text


def _notice(source: Path) -> str:
    return NOTICE % source.relative_to(ROOT)


def main() -> int:
    """Write the templates, or with --check compare them; returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a template is out of date")
    check = parser.parse_args().check
    stale = [
        (path, text)
        for path, text in generate().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run 'make chart'\n")
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
