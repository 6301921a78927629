"""Each kind of next step, taken as the message says, word for word: the run then ends otherwise.

The operator, the API server and the agents are the real ones; nodes are fakes (trfakes/manual_node.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from trdemo import next_step
from trfakes.manual_node import Object
from trfakes.situations import NAMESPACE, Environment

pytestmark = pytest.mark.api


def status(environment: Environment, name: str) -> Object:
    found: Object = environment.kubectl.get("trainingrun", name, namespace=NAMESPACE)["status"]
    return found


def failed(environment: Environment, name: str, *, reason: str) -> str:
    """The message of a run that has failed for this reason."""
    environment.until_reason(name, "Failed")
    seen = status(environment, name)
    assert [c["reason"] for c in seen["conditions"] if c["type"] == "Succeeded"] == [reason]
    return str(seen["message"])


def expect_prepared(environment: Environment, job: str) -> None:
    """Run this attempt of prep; it has to end with a data set."""
    environment.node.run_through(job)
    environment.until(job.rpartition("-prep-")[0], is_prepared)


def is_prepared(status: Object) -> bool:
    return any(c["type"] == "Prepared" and c["status"] == "True" for c in status["conditions"])


def test_retry_a_bucket_is_created(environment: Environment) -> None:
    environment.apply("homeless", storage={"bucket": "later"}, dataset=in_bucket(environment))
    environment.node.run_through("homeless-prep-1")
    message = failed(environment, "homeless", reason="BucketNotFound")
    assert "Create bucket later" in message
    environment.bucket.client.create_bucket(Bucket="later")
    next_step.retry(environment.kubectl, message)
    expect_prepared(environment, "homeless-prep-2")


def in_bucket(environment: Environment) -> Object:
    """The demo's images, named with their bucket."""
    folders = {"train": "train", "eval": "test"}
    return {split: {"uri": f"s3://{environment.bucket.name}/tire/images/{name}/"} for split, name in folders.items()}


def test_new_run_a_class_is_spelled_as_in_the_labels(environment: Environment, tmp_path: Path) -> None:
    environment.apply("capital", dataset={"classes": ["Tire"]})
    environment.node.run_through("capital-prep-1")
    message = failed(environment, "capital", reason="ClassNotFound")
    said = next_step.create(environment.kubectl, message, name="small", folder=tmp_path)
    assert said == "trainingrun.trainingrun.dev/small created\n"
    expect_prepared(environment, "small-prep-1")


def test_platform_an_image_is_allowed(environment: Environment) -> None:
    environment.apply("own-image", train={"image": "registry.example.com/trainer:1"})
    message = failed(environment, "own-image", reason="ForbiddenByPolicy")
    assert "extend policy.images of the operator's Helm values" in message
    next_step.retry(environment.kubectl, message)
    environment.until("own-image", lambda seen: seen.get("retry") == 1)
    assert "extend policy.images" in failed(environment, "own-image", reason="ForbiddenByPolicy")  # nobody was asked

    environment.serve(images=("registry.example.com/*",))
    next_step.retry(environment.kubectl, str(status(environment, "own-image")["message"]))
    expect_prepared(environment, "own-image-prep-1")
    environment.serve()


def test_wait_a_secret_is_created(environment: Environment) -> None:
    environment.apply("early", storage={"credentials": {"secretName": "trainingrun-late"}})
    pod = environment.node.make_pod("early-prep-1")
    missing = 'MountVolume.SetUp failed for volume "credentials" : secret "trainingrun-late" not found'
    environment.node.warn(pod, reason="FailedMount", message=missing, component="kubelet")
    environment.until_reason("early", "SecretMissing")
    message = str(status(environment, "early")["message"])
    assert "Create the Secret in the run's namespace." in message
    assert message.endswith("The pod then starts by itself.")
    environment.secret("trainingrun-late", {"AWS_ACCESS_KEY_ID": "tires", "AWS_SECRET_ACCESS_KEY": "rolling"})
    environment.node.start_pod("early-prep-1")
    environment.node.finish("early-prep-1")
    environment.until("early", is_prepared)
