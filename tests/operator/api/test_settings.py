"""Settings come from the environment, once."""

from __future__ import annotations

import pytest

from trainingrun.__main__ import main
from trainingrun.api.settings import Policy, RunPods, Settings, SettingsError, StorageAccess, TensorBoard

IMAGES = {
    "TRAININGRUN_AGENT_IMAGE": "agent:1",
    "TRAININGRUN_TRAINER_IMAGE": "trainer:1",
    "TRAININGRUN_TENSORBOARD_IMAGE": "board:1",
}


def test_defaults() -> None:
    settings = Settings.from_env({**IMAGES, "TRAININGRUN_POLICY_SECRET_NAMES": "", "TRAININGRUN_PORT": " "})
    assert settings == Settings(agent_image="agent:1", trainer_image="trainer:1", tensorboard_image="board:1")
    assert settings.policy == Policy(images=(), secret_names=("trainingrun-*",), endpoints=("*",), tolerations=("*",))


def test_every_variable() -> None:
    settings = Settings.from_env(
        {
            **IMAGES,
            "TRAININGRUN_WATCH_NAMESPACES": "a, b",
            "TRAININGRUN_POD_NAMESPACE": "system",
            "TRAININGRUN_POD_NAME": "operator-1",
            "TRAININGRUN_LEASE_NAMESPACE": "platform",
            "TRAININGRUN_RELEASE": "ours",
            "TRAININGRUN_IMAGE_PULL_SECRETS": "pull",
            "TRAININGRUN_IMAGE_PULL_POLICY": "Never",
            "TRAININGRUN_POLICY_IMAGES": "registry/*",
            "TRAININGRUN_POLICY_SECRET_NAMES": "s3-*,trainingrun-*",
            "TRAININGRUN_POLICY_SERVICE_ACCOUNTS": "trainingrun-*, s3",
            "TRAININGRUN_POLICY_ENDPOINTS": "https://*",
            "TRAININGRUN_POLICY_STS_ENDPOINTS": "https://sts.example.com",
            "TRAININGRUN_POLICY_PROXIES": "http://proxy.example:3128",
            "TRAININGRUN_POLICY_WEIGHT_HOSTS": "zoo.example,*.models.example",
            "TRAININGRUN_POLICY_TOLERATIONS": "nvidia.com/*",
            "TRAININGRUN_POLICY_POD_LABELS": "cost-center,team",
            "TRAININGRUN_POLICY_POD_ANNOTATIONS": "",
            "TRAININGRUN_POLICY_PRIORITY_CLASSES": "batch-*",
            "TRAININGRUN_POD_LABELS": '{"cost-center":"42"}',
            "TRAININGRUN_POD_ANNOTATIONS": '{"container.apparmor.security.beta.kubernetes.io/agent":"runtime/default"}',
            "TRAININGRUN_PRIORITY_CLASS": "batch",
            "TRAININGRUN_DO_NOT_DISRUPT_TRAINING": "true",
            "TRAININGRUN_TOKEN_AUDIENCE": "storage.example.com",
            "TRAININGRUN_STORAGE_PROXY_URL": "https://proxy.example",
            "TRAININGRUN_STORAGE_NO_PROXY": "svc,10.0.0.0/8",
            "TRAININGRUN_AGENT_RESOURCES": '{"limits":{"cpu":1,"memory":"1Gi"}}',
            "TRAININGRUN_TENSORBOARD_ENABLED": "false",
            "TRAININGRUN_TENSORBOARD_TTL_SECONDS": "0",
            "TRAININGRUN_TENSORBOARD_PRIORITY_CLASS": "low",
            "TRAININGRUN_TENSORBOARD_RESOURCES": '{"requests":{"cpu":"10m"}}',
            "TRAININGRUN_TENSORBOARD_MIRROR_RESOURCES": '{"limits":{"cpu":"0.5"}}',
            "TRAININGRUN_FAILED_JOBS_TTL_SECONDS": "60",
            "TRAININGRUN_READ_NODES": "false",
            "TRAININGRUN_LOST_POD_SECONDS": "30",
            "TRAININGRUN_LOG_LEVEL": "DEBUG",
            "TRAININGRUN_LOG_FORMAT": "json",
            "TRAININGRUN_PORT": "9000",
        }
    )
    assert settings == Settings(
        agent_image="agent:1",
        trainer_image="trainer:1",
        tensorboard_image="board:1",
        namespaces=("a", "b"),
        pod_namespace="system",
        pod_name="operator-1",
        lease_namespace="platform",
        release="ours",
        image_pull_secrets=("pull",),
        image_pull_policy="Never",
        policy=Policy(
            images=("registry/*",),
            secret_names=("s3-*", "trainingrun-*"),
            service_accounts=("trainingrun-*", "s3"),
            endpoints=("https://*",),
            sts_endpoints=("https://sts.example.com",),
            proxies=("http://proxy.example:3128",),
            weight_hosts=("zoo.example", "*.models.example"),
            tolerations=("nvidia.com/*",),
            pod_labels=("cost-center", "team"),
            pod_annotations=(),
            priority_classes=("batch-*",),
        ),
        run_pods=RunPods(
            labels={"cost-center": "42"},
            annotations={"container.apparmor.security.beta.kubernetes.io/agent": "runtime/default"},
            priority_class="batch",
            keep_training=True,
            agent_resources={"limits": {"cpu": "1", "memory": "1Gi"}},
        ),
        storage_access=StorageAccess(
            proxy="https://proxy.example", no_proxy=("svc", "10.0.0.0/8"), token_audience="storage.example.com"
        ),
        tensorboard=TensorBoard(
            enabled=False,
            ttl_seconds=0,
            priority_class="low",
            resources={"requests": {"cpu": "10m"}},
            mirror_resources={"limits": {"cpu": "0.5"}},
        ),
        failed_jobs_ttl_seconds=60,
        read_nodes=False,
        lost_pod_seconds=30,
        log_level="DEBUG",
        log_format="json",
        port=9000,
    )


@pytest.mark.parametrize(
    "name",
    [
        "service_accounts",
        "sts_endpoints",
        "proxies",
        "tolerations",
        "pod_labels",
        "pod_annotations",
        "priority_classes",
    ],
)
def test_an_empty_list_allows_nothing(name: str) -> None:
    policy = Settings.from_env({**IMAGES, f"TRAININGRUN_POLICY_{name.upper()}": ""}).policy
    assert getattr(policy, name) == ()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"TRAININGRUN_TRAINER_IMAGE": " "}, "TRAININGRUN_TRAINER_IMAGE is not set"),
        ({"TRAININGRUN_PORT": "http"}, "TRAININGRUN_PORT is 'http'; it must be a whole number."),
        (
            {"TRAININGRUN_TENSORBOARD_ENABLED": "no"},
            "TRAININGRUN_TENSORBOARD_ENABLED is 'no'; it must be true or false.",
        ),
        ({"TRAININGRUN_POD_LABELS": "{a"}, "TRAININGRUN_POD_LABELS is '{a'; it must be a JSON object."),
        ({"TRAININGRUN_POD_LABELS": "[]"}, r"TRAININGRUN_POD_LABELS is '\[\]'; it must be a JSON object."),
        ({"TRAININGRUN_POD_LABELS": '{"a":1}'}, "TRAININGRUN_POD_LABELS must be a JSON object whose values are texts"),
        ({"TRAININGRUN_POD_LABELS": '{"a b":""}'}, "TRAININGRUN_POD_LABELS: 'a b' is not a key such as cost-center"),
        ({"TRAININGRUN_POD_LABELS": '{"a":"b c"}'}, "TRAININGRUN_POD_LABELS: the value of 'a' is not a label"),
        (
            {"TRAININGRUN_POD_ANNOTATIONS": '{"trainingrun.dev/run":"x"}'},
            "TRAININGRUN_POD_ANNOTATIONS: 'trainingrun.dev/run' is written by the operator or by Kubernetes.",
        ),
        (
            {"TRAININGRUN_POD_ANNOTATIONS": '{"eks.amazonaws.com/skip-containers":"agent"}'},
            "TRAININGRUN_POD_ANNOTATIONS: 'eks.amazonaws.com/skip-containers' is written by the operator",
        ),
        ({"TRAININGRUN_STORAGE_PROXY_URL": "proxy:3128"}, "TRAININGRUN_STORAGE_PROXY_URL must be http://host"),
        ({"TRAININGRUN_STORAGE_PROXY_URL": "socks5://proxy"}, "TRAININGRUN_STORAGE_PROXY_URL must be http://host"),
        (
            {"TRAININGRUN_TOKEN_AUDIENCE": "https://kubernetes.default.svc.cluster.local"},
            "TRAININGRUN_TOKEN_AUDIENCE is .*, the audience of the API server; it must be that of your STS.",
        ),
        ({"TRAININGRUN_AGENT_RESOURCES": '{"request":{}}'}, "TRAININGRUN_AGENT_RESOURCES has 'request'; it must be"),
        (
            {"TRAININGRUN_TENSORBOARD_RESOURCES": '{"limits":{"cpu":"all"}}'},
            "TRAININGRUN_TENSORBOARD_RESOURCES: limits.cpu is 'all', which is no quantity such as 500m or 1Gi.",
        ),
    ],
)
def test_a_bad_variable_is_named(env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_env({**IMAGES, **env})


def test_a_token_never_has_an_empty_audience() -> None:
    """Kubernetes would take the audience of the API server instead."""
    settings = Settings.from_env({**IMAGES, "TRAININGRUN_TOKEN_AUDIENCE": " "})
    assert settings.storage_access.token_audience == "sts.amazonaws.com"


def test_the_password_of_a_proxy_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="without user and password") as refused:
        Settings.from_env({**IMAGES, "TRAININGRUN_STORAGE_PROXY_URL": "http://user:hunter2@proxy"})
    assert "hunter2" not in str(refused.value)


def test_messages_name_the_program_trainingrun_operator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`trainingrun` is the name of the users' command line."""
    monkeypatch.delenv("TRAININGRUN_AGENT_IMAGE", raising=False)
    monkeypatch.setattr("sys.argv", ["trainingrun"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("trainingrun-operator: TRAININGRUN_AGENT_IMAGE is not set")
    monkeypatch.setattr("sys.argv", ["trainingrun", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith("usage: trainingrun-operator ")
