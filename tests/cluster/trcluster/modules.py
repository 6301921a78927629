"""List the Go modules to build, with their versions.

Invariant: each version equals the one in modules/<name>/go.mod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KUBERNETES = "v1.35.8"
ETCD = "v3.6.16"
COREDNS = "v1.14.7"
KWOK = "v0.8.0"
HELM = "v4.3.1"
HELM_UNITTEST = "v1.1.2"
KUBECONFORM = "v0.8.0"
VERSITYGW = "v1.8.0"
RCLONE = "v1.76.0"
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
# Its releases carry no Go versions: the proxy serves commits only. This is the newest that it had.
SEAWEEDFS = "v0.0.0-20261109003541-7506e5f91cd6"

KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "kubeadm",
)


@dataclass(frozen=True)
class Module:
    """One wrapper module: ``go build`` of ``package`` in modules/``name`` gives the file ``output``."""

    name: str
    version: str
    package: str
    output: str
    defines: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def provides(self) -> tuple[str, ...]:
        """Names of the commands that this module builds; a multi-call binary provides several, as symlinks."""
        return self.commands or (self.output,)

    @property
    def linker_flags(self) -> str:
        """The value of ``-ldflags``."""
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.defines.items())])


def _kubernetes_defines() -> dict[str, str]:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{package}.{name}": value for package in packages for name, value in values.items()}


ALL = (
    Module(
        "k8s",
        KUBERNETES,
        ".",
        "hyper",
        _kubernetes_defines(),
        KUBERNETES_COMMANDS,
        # The Go compiler's garbage collection limits this build: fewer collections make it a third faster.
        {"GOGC": "400"},
    ),
    Module("etcd", ETCD, "go.etcd.io/etcd/server/v3", "etcd", {"go.etcd.io/etcd/api/v3/version.GitSHA": ETCD}),
    Module("coredns", COREDNS, ".", "coredns"),
    Module("kwok", KWOK, "sigs.k8s.io/kwok/cmd/kwok", "kwok", {"sigs.k8s.io/kwok/pkg/consts.Version": KWOK}),
    Module(
        "versitygw",
        VERSITYGW,
        "github.com/versity/versitygw/cmd/versitygw",
        "versitygw",
        {"main.Version": VERSITYGW},
    ),
    Module(
        "seaweedfs",
        SEAWEEDFS,
        "github.com/seaweedfs/seaweedfs/weed",
        "weed",
        {"github.com/seaweedfs/seaweedfs/weed/util/version.COMMIT": SEAWEEDFS.rpartition("-")[2]},
        environment={"GOGC": "400"},
    ),
    Module(
        "helm",
        HELM,
        "helm.sh/helm/v4/cmd/helm",
        "helm",
        {
            "helm.sh/helm/v4/internal/version.version": HELM,
            "helm.sh/helm/v4/pkg/chart/common.k8sVersionMajor": "1",
            "helm.sh/helm/v4/pkg/chart/common.k8sVersionMinor": "35",
        },
    ),
    Module(
        "helm-unittest",
        HELM_UNITTEST,
        "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
        "helm-unittest",
    ),
    Module(
        "kubeconform",
        KUBECONFORM,
        "github.com/yannh/kubeconform/cmd/kubeconform",
        "kubeconform",
        {"main.version": KUBECONFORM},
    ),
    Module("rclone", RCLONE, ".", "rclone"),
    Module("minio", MINIO, "github.com/minio/minio", "minio"),
    Module("pause", "3.10.1", ".", "pause"),
    Module("probe", "1", ".", "probe"),
)
BY_NAME: Mapping[str, Module] = {module.name: module for module in ALL}
BY_COMMAND: Mapping[str, Module] = {command: module for module in ALL for command in module.provides}
