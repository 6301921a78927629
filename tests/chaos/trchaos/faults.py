"""All kinds of faults, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trchaos import cluster_faults, operator_faults, server_faults, tenant_faults, user_faults
from trchaos.kind import Kind

KINDS: Final[Mapping[str, Kind]] = {
    **operator_faults.KINDS,
    **server_faults.KINDS,
    **cluster_faults.KINDS,
    **user_faults.KINDS,
    **tenant_faults.KINDS,
}
