"""`python3 -m trdemo`: train a detector with one TrainingRun on a real cluster, starting from nothing."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from trcluster import Cluster, ClusterError, current
from trdemo import bucket, follow, install, user_shell
from trdemo.shell import DemoError
from trdemo.target import CurrentCluster, Target, choose
from trdemo.tires import draw_set
from trimages.errors import BuildError
from trimages.paths import REPOSITORY

NAMESPACE, NAME, BUCKET = "vision", "tire", "detectors"
# By network: the sample that trains it, and the seconds that the run may take.
DEMOS = {
    "ssd_mobilenet_v1_0.25_128": ("tire.yaml", 900),
    "ssd_inception_v2": ("tire-inception.yaml", 3600),
}


def main() -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except (DemoError, ClusterError, BuildError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo", description="Train a detector with one TrainingRun on a real cluster."
    )
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="start everything, train, download the model")
    run.add_argument("--name", default="default", help="name of the new cluster (default: %(default)s)")
    run.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "demo-output",
        help="folder for model and pictures",
    )
    run.add_argument("--network", choices=DEMOS, default=next(iter(DEMOS)), help="default: %(default)s")
    run.add_argument("--timeout", type=float, help="seconds to wait for the run (default: that of the network)")
    run.set_defaults(run=_run)
    down = commands.add_parser("down", help="remove the cluster (CLUSTER=current: only what the demo installed in it)")
    down.add_argument("--name", default="default")
    down.set_defaults(run=_down)
    data = commands.add_parser("dataset", help="draw the tire data set into a folder")
    data.add_argument("folder", type=Path)
    data.set_defaults(run=_dataset)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    name, seconds = DEMOS[arguments.network]
    sample = install.sample(name)
    _print_step("1/6 Container images")
    images = install.build_images(echo=_detail)
    _print_step("2/6 Cluster and S3 server")
    target = choose(name=arguments.name, echo=_detail)
    target.load_images([item.archive for item in images.values()])
    _print_step("3/6 Operator, installed with Helm")
    install.install_operator(target, references={name: item.reference for name, item in images.items()}, values={})
    install.make_namespace(target, NAMESPACE)
    _print_step("4/6 Labelled images, uploaded to the bucket")
    store = bucket.Bucket(target.storage, BUCKET)
    store.create()
    _detail(f"{store.put_tires('tire/')} images with their XML files in s3://{BUCKET}/tire/images/")
    _print_step(f"5/6 kubectl apply -f {sample.relative_to(REPOSITORY)}")
    target.kubectl("delete", "trainingrun", NAME, "-n", NAMESPACE, "--ignore-not-found", "--wait")
    target.kubectl("apply", "-n", NAMESPACE, "-f", str(sample))
    finished = follow.follow(target.kubectl, namespace=NAMESPACE, name=NAME, timeout=arguments.timeout or seconds)
    return _results(target, store, finished, out=arguments.out, started=started)


def _results(target: Target, store: bucket.Bucket, finished: dict[str, Any], *, out: Path, started: float) -> int:
    status = finished["status"]
    if follow.condition(status, "Succeeded") != "True":
        raise DemoError(follow.failure_report(target.kubectl, namespace=NAMESPACE, name=NAME))
    _print_step("6/6 Results")
    export = status["export"]
    print(follow.table(status))
    scores = f"AP@.5 {export['ap50']}, mAP {export['mAP']}"
    print(f"\nThe exported model scores {scores} on {export['evalImages']} images that training did not use.\n")
    for name, uri in bucket.results_of(status).items():
        print(f"{name:13} {uri}")
    _, prefix = bucket.split_uri(export["uri"])
    files = store.download(prefix, out)
    print(f"\nModel and pictures of its detections ({len(files)} files) are in {out}")
    env, service = user_shell.write(target, out), status["tensorboard"]["serviceName"]
    print("\nIn your shell, for kubectl and aws with the demo's cluster and S3 server:")
    print(f"  source {env}")
    print("For TensorBoard, then open http://127.0.0.1:6006")
    print(f"  kubectl --namespace {NAMESPACE} port-forward service/{service} 6006:6006")
    print('To train on your own photos: README.md, "Your own photos on the demo\'s cluster"')
    print(f"\nThe demo took {time.monotonic() - started:.0f} s. The cluster keeps running; make demo-down removes it.")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if current.wanted():
        install.uninstall(CurrentCluster(), run=NAME, namespace=NAMESPACE)
        print(f"The namespaces {NAMESPACE} and {install.SYSTEM_NAMESPACE} stay: delete them if nobody else uses them.")
        return 0
    Cluster(arguments.name, tier="node", echo=_detail).down()
    return 0


def _dataset(arguments: argparse.Namespace) -> int:
    for folder, count in (("train", bucket.TRAIN), ("test", bucket.TEST)):
        target = arguments.folder / "images" / folder
        target.mkdir(parents=True, exist_ok=True)
        for photo in draw_set(count, seed=bucket.SEED, prefix=folder):
            (target / photo.name).write_bytes(photo.jpeg)
            (target / photo.name).with_suffix(".xml").write_bytes(photo.xml)
    _detail(f"{bucket.TRAIN + bucket.TEST} images with XML files in {arguments.folder}/images")
    return 0


def _print_step(text: str) -> None:
    print(f"\n{text}", flush=True)


def _detail(text: str) -> None:
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
