"""Settings come from the environment, once."""

from __future__ import annotations

import pytest

from trainingrun.__main__ import main
from trainingrun.api.settings import Policy, Settings, SettingsError

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
            "TRAININGRUN_POLICY_ENDPOINTS": "https://*",
            "TRAININGRUN_POLICY_TOLERATIONS": "nvidia.com/*",
            "TRAININGRUN_FAILED_JOBS_TTL_SECONDS": "60",
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
            endpoints=("https://*",),
            tolerations=("nvidia.com/*",),
        ),
        failed_jobs_ttl_seconds=60,
        lost_pod_seconds=30,
        log_level="DEBUG",
        log_format="json",
        port=9000,
    )


def test_an_empty_list_allows_no_toleration() -> None:
    assert Settings.from_env({**IMAGES, "TRAININGRUN_POLICY_TOLERATIONS": ""}).policy.tolerations == ()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"TRAININGRUN_TRAINER_IMAGE": " "}, "TRAININGRUN_TRAINER_IMAGE is not set"),
        ({"TRAININGRUN_PORT": "http"}, "TRAININGRUN_PORT is 'http'; it must be a whole number."),
    ],
)
def test_a_bad_variable_is_named(env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_env({**IMAGES, **env})


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
