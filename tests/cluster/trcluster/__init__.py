"""A real Kubernetes cluster from source, for tests: see README.md one folder up."""

from __future__ import annotations

from .cluster import Cluster, ServiceStatus
from .errors import ClusterError
from .layout import Tier
from .s3 import S3

__all__ = ["S3", "Cluster", "ClusterError", "ServiceStatus", "Tier"]
