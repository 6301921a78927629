"""From the check to the object: `trainingrun doctor` writes the TrainingRun that trains on what it has checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli_shell import Shell
from image_samples import deep
from trainingrun_agent.cli.evaluation import choose_rule
from trainingrun_agent.cli.run_object import run_name
from trainingrun_agent.config import SplitRule
from trainingrun_agent.prep.output.labels_csv import HEADER
from trfakes.schema import crd_part, errors
from voc_data import encoded, jpeg, labelled, voc

SECRET = (
    "  - Secret trainingrun-s3 has to be in the namespace of the run, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
Images = dict[str, Sequence[str]]


def block_of(text: str) -> Any:
    """The `dataset` that the text ends with."""
    return yaml.safe_load(text[text.index("\ndataset:\n") :])["dataset"]


def dataset(shell: Shell, *words: str) -> Any:
    """What text, page and JSON have, which is the same."""
    ended = shell.run("doctor", *words, "--json", "r.json")
    found = json.loads((shell.root / "r.json").read_text())["dataset"]
    assert block_of(ended.out) == found
    return found


def test_two_folders_keep_their_places(shell: Shell) -> None:
    shell.add("tire/images/train/a", jpeg(seed=1))
    shell.add("tire/images/test/b", jpeg(seed=2))
    words = ("tire/images/train", "--eval", "tire/images/test")
    formats = {"format": "pascalVOC"}
    for more, start in (
        ((), "s3://BUCKET/tire/images/"),
        (("--bucket", "photos"), "s3://photos/tire/images/"),
        (("--uri", "s3://photos/set 1/train"), "s3://photos/set 1/"),
    ):
        assert dataset(shell, *words, *more) == {
            "train": {"uri": f"{start}train/", **formats},
            "eval": {"uri": f"{start}test/", **formats},
            "classes": ["tire"],
        }


def test_folders_keep_their_places_to_the_labels_beside_them(shell: Shell) -> None:
    for split, names in (("train", "ab"), ("val", "cd")):
        for name in names:
            shell.write(f"set/images/{split}/{name}.jpg", jpeg(seed=name))
            shell.write(f"set/labels/{split}/{name}.txt", b"0 0.5 0.5 0.25 0.5\n")
    words = ("set/images/train", "--eval", "set/images/val", "--classes", "tire")
    made = dataset(shell, *words)
    assert (made["train"]["uri"], made["eval"]["uri"]) == (
        "s3://BUCKET/set/images/train/",
        "s3://BUCKET/set/images/val/",
    )


def test_labels_in_a_folder_of_their_own_are_a_part_of_it(shell: Shell, contract: Callable[[str, Any], None]) -> None:
    for name in "ab":
        shell.write(f"photos/{name}.jpg", jpeg(seed=name))
        shell.write(f"truth/{name}.xml", voc())
    made = dataset(shell, "photos", "--labels", "truth", "--bucket", "photos")
    above = made["train"]["uri"].removesuffix("photos/")
    assert made["train"]["labels"] == {"uri": f"{above}truth/"}
    contract("report", json.loads((shell.root / "r.json").read_text()))


def test_the_folder_of_the_shell_has_its_own_name(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.root / "images")
    assert block_of(shell.run("doctor", ".").out)["train"]["uri"] == "s3://BUCKET/images/"


def test_class_names_are_quoted_where_yaml_would_read_something_else(shell: Shell) -> None:
    names = ["no", "007", "a: b", "#x", "1e3", "tire"]
    for index, name in enumerate(names):
        for copy in range(4):
            shell.add(f"odd/{index}_{'abcd'[copy]}", jpeg(seed=f"{index}{copy}"), voc([labelled(name)]))
    assert dataset(shell, "odd", "--classes", ",".join(names))["classes"] == names


def test_limits_that_are_no_defaults_are_a_part_of_it(shell: Shell) -> None:
    words = ("--max-bad-files", "50%", "--max-image-side", "512", "--eval-fraction", ".5", "--split-seed", "3")
    words += ("--split-group", "image", "--intensity-range", "0,16383")
    assert dataset(shell, "images", *words) == {
        "train": {"uri": "s3://BUCKET/images/", "format": "pascalVOC"},
        "evalFraction": "0.5",
        "splitSeed": 3,
        "splitGroup": "image",
        "classes": ["tire"],
        "maxBadFiles": "50%",
        "maxImageSide": 512,
        "intensityRange": [0, 16383],
    }


def test_image_sets_of_a_tree_are_a_part_of_it(shell: Shell) -> None:
    for index in range(3):
        shell.write(f"voc/JPEGImages/{index}.jpg", jpeg(seed=index))
        shell.write(f"voc/Annotations/{index}.xml", voc())
    shell.write("voc/ImageSets/Main/train.txt", b"1\n2\n")
    shell.write("voc/ImageSets/Main/val.txt", b"0\n")
    found = dataset(shell, "voc", "--image-set", "train", "--eval-image-set", "val")
    assert found["train"] == {"uri": "s3://BUCKET/voc/", "imageSet": "train", "format": "pascalVOC"}
    assert found["eval"] == {"uri": "s3://BUCKET/voc/", "imageSet": "val", "format": "pascalVOC"}


def test_data_that_cannot_be_used_has_no_dataset_but_what_has_to_change(shell: Shell) -> None:
    shell.add("images/t9", b"")
    ended = shell.run("doctor", "images", "--write", "run.yaml")
    assert "dataset:" not in ended.out
    assert ended.out.endswith("or use a higher --max-bad-files.\nrun.yaml was not written.\n")
    assert not (shell.root / "run.yaml").exists()


def test_one_image_cannot_be_divided_and_is_no_dataset(shell: Shell) -> None:
    shell.add("one/a")
    ended = shell.run("doctor", "one", "--write", "run.yaml")
    assert ended.code == 0
    assert "There is no dataset for a TrainingRun: the images cannot be divided" in ended.out
    assert "\ndataset:" not in ended.out
    assert ended.out.endswith("Add images, or name a folder with --eval.\nrun.yaml was not written.\n")


COMMANDS: dict[str, tuple[str, ...]] = {
    "nothing more": (),
    "everything": (
        *("--endpoint", "http://s3.storage:7070/", "--bucket", "detectors", "--secret", "my-s3", "--region", "eu-1"),
        *("--addressing", "virtual", "--steps", "150", "--name", "tires", "--network", "ssd_mobilenet_v1_0.25_128"),
        *("--uri", "s3://photos/tires"),
    ),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_object_is_one_that_the_crd_knows(shell: Shell, words: tuple[str, ...]) -> None:
    ended = shell.run("doctor", "images", "--write", "run.yaml", *words)
    assert ended.code == 0
    written = yaml.safe_load((shell.root / "run.yaml").read_text())
    spec = written.pop("spec")
    assert errors(crd_part("spec"), spec) == []
    assert spec["dataset"] == block_of(ended.out.partition("\nWritten to")[0])
    storage = {"bucket": "BUCKET", "credentials": {"secretName": "trainingrun-s3"}}
    name, steps, network = "images", 20000, "ssd_inception_v2"
    if words:
        storage = {
            "endpoint": "http://s3.storage:7070",
            "region": "eu-1",
            "bucket": "detectors",
            "addressing": "virtual",
            "credentials": {"secretName": "my-s3"},
        }
        name, steps, network = "tires", 150, "ssd_mobilenet_v1_0.25_128"
        assert spec["dataset"]["train"]["uri"] == "s3://photos/tires/"
    assert written == {"apiVersion": "trainingrun.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": name}}
    assert (spec["storage"], spec["train"], spec["model"]) == (storage, {"steps": steps}, {"network": network})


def test_it_says_what_is_left_to_fill_in(shell: Shell) -> None:
    for index in range(3):
        shell.add(f"photos/t{index}", jpeg(seed=index))
    ended = shell.run("doctor", "photos", "--write", "run.yaml")
    assert ended.out.partition("\nWritten to run.yaml. Before you apply it:\n")[2].splitlines() == [
        "  - write the name of your bucket in place of BUCKET, or give --bucket",
        f"  - upload {shell.root / 'photos'} to s3://BUCKET/photos/, if it is not there yet",
        "  - set spec.storage.endpoint, or give --endpoint, unless the bucket is at AWS",
        SECRET,
    ]


ADDRESSES: dict[str, tuple[tuple[str, ...], dict[str, str], list[str]]] = {
    "of the folder that holds the splits": (
        ("set", "--uri", "s3://pics/x/other"),
        {"train": "s3://pics/x/other/train/", "eval": "s3://pics/x/other/valid/"},
        ["{}/set to s3://pics/x/other/"],
    ),
    "of one split, with the same names": (
        ("set/train", "--eval", "set/valid", "--uri", "s3://pics/x/set/train/"),
        {"train": "s3://pics/x/set/train/", "eval": "s3://pics/x/set/valid/"},
        ["{}/set to s3://pics/x/set/"],
    ),
    "of one split, with another name": (
        ("set/train", "--eval", "set/valid", "--uri", "s3://pics/x/"),
        {"train": "s3://pics/x/", "eval": "s3://pics/valid/"},
        ["set/train to s3://pics/x/", "set/valid to s3://pics/valid/"],
    ),
    "with labels beside it": (
        ("two/images", "--uri", "s3://pics/x/images"),
        {"train": "s3://pics/x/images/"},
        ["{}/two to s3://pics/x/"],
    ),
    "with labels beside it, and another name": (
        ("two/images", "--uri", "s3://pics/x/"),
        {"train": "s3://pics/x/"},
        ["two/images to s3://pics/x/", "the labels that LabelsElsewhere names to their place beside it"],
    ),
}


@pytest.mark.parametrize(("words", "uris", "uploads"), ADDRESSES.values(), ids=ADDRESSES)
def test_what_is_uploaded_is_where_the_object_looks_for_it(
    shell: Shell, words: tuple[str, ...], uris: dict[str, str], uploads: list[str]
) -> None:
    for split in ("train", "valid"):
        shell.add(f"set/{split}/a", jpeg(seed=split))
    for index in range(3):
        shell.write(f"two/images/{index}.jpg", jpeg(seed=index))
        shell.write(f"two/annotations/{index}.xml", voc())
    ended = shell.run("doctor", *words, "--write", "run.yaml")
    found = block_of(ended.out.partition("\nWritten to")[0])
    assert {split: found[split]["uri"] for split in ("train", "eval") if split in found} == uris
    told = [line.removeprefix("  - upload ") for line in ended.out.splitlines() if "  - upload " in line]
    assert [line.removesuffix(", if it is not there yet") for line in told] == [
        line.format(shell.root) for line in uploads
    ]


def test_an_object_that_is_there_is_not_written_over_without_force(shell: Shell) -> None:
    shell.write("run.yaml", b"mine")
    ended = shell.run("doctor", "images", "--write", "run.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert (
        ended.err == "trainingrun: error: --write run.yaml exists: add --force to write over it, or name another file\n"
    )
    assert (shell.root / "run.yaml").read_bytes() == b"mine"
    assert shell.run("doctor", "images", "--write", "run.yaml", "--force").code == 0
    assert (shell.root / "run.yaml").read_bytes().startswith(b"# Written by")
    ended = shell.run("doctor", "images", "--write", "images/run.yaml")
    assert "--write images/run.yaml is inside images, where it would be read as data" in ended.err


def test_with_json_on_standard_output_nothing_else_is_there(shell: Shell) -> None:
    ended = shell.run("doctor", "images", "--json", "-", "--write", "run.yaml")
    assert json.loads(ended.out)["dataset"]
    assert "Written to run.yaml." in ended.err


def test_frames_of_one_video_in_both_splits_are_told(shell: Shell) -> None:
    for index in range(12):
        shell.add(f"video/clip7_frame_{index:04}", jpeg(seed=index))
    ended = shell.run("doctor", "video")
    assert block_of(ended.out.partition("\n\nsplitGroup")[0])["splitGroup"] == "image"
    assert ended.out.endswith(
        "\nsplitGroup: image puts frames of one video in both splits, so scores will be inflated. It is better to name"
        " a folder with other images with --eval.\n"
    )


NAMES = {
    "photos": "photos",
    "My Photos (1)": "my-photos-1",
    "2024_größe": "run-2024-gr-e",
    "輪胎": "run",
    "x" * 50: "x" * 40,
    "-a-": "a",
}


@pytest.mark.parametrize(("folder", "name"), NAMES.items())
def test_the_name_of_a_folder_becomes_one_that_kubernetes_allows(folder: str, name: str) -> None:
    assert run_name(folder) == name


def boxes(path: Path, images: Images) -> Path:
    """A CSV of boxes."""
    lines = [f"{image},9,9,{name},1,1,2,2" for image, names in images.items() for name in names]
    path.write_text("\n".join([",".join(HEADER), *lines, ""]))
    return path


FRACTION = Decimal("0.15")
RULES: dict[str, tuple[Images, SplitRule | None]] = {
    "many images": ({f"{index}.jpg": ["a", "b"] for index in range(100)}, SplitRule(FRACTION, 0, "sequence")),
    "one image": ({"a.jpg": ["a", "b"]}, None),
    "one video": (
        {f"clip7_frame_{index:04}.jpg": ["a", "b"] for index in range(50)},
        SplitRule(FRACTION, 0, "image"),
    ),
    "a class in one image": (
        {**{f"{index}.jpg": ["a"] for index in range(20)}, "z.jpg": ["b"]},
        SplitRule(FRACTION, 0, "sequence"),
    ),
    "a class in two images, which seed 0 leaves for training": (
        {**{f"{index}.jpg": ["a"] for index in range(20)}, "y.jpg": ["b"], "z.jpg": ["b"]},
        SplitRule(FRACTION, 1, "sequence"),
    ),
    "two classes in one image each": ({"x.jpg": ["a"], "y.jpg": ["b"]}, None),
}


@pytest.mark.parametrize(("images", "rule"), RULES.values(), ids=RULES)
def test_a_seed_is_found_that_leaves_every_class_for_training(
    tmp_path: Path, images: Images, rule: SplitRule | None
) -> None:
    assert choose_rule(boxes(tmp_path / "boxes.csv", images), ["a", "b"]) == rule


def test_the_division_that_is_written_is_accepted_by_the_check(shell: Shell) -> None:
    """Seed 0 leaves all three images for training."""
    found = dataset(shell, "images")
    words = ("--eval-fraction", found["evalFraction"], "--split-seed", str(found["splitSeed"]))
    assert shell.run("doctor", "images", *words).code == 0
    assert shell.run("doctor", "images", "--eval-fraction", found["evalFraction"]).code == 2


SPLITS: dict[str, tuple[dict[str, bytes], tuple[str, ...], dict[str, Any], str]] = {
    "Roboflow's": (
        {
            "set/train/images/a.jpg": b"",
            "set/train/labels/a.txt": b"",
            "set/valid/images/b.jpg": b"",
            "set/valid/labels/b.txt": b"",
            "set/test/images/c.jpg": b"",
            "set/test/labels/c.txt": b"",
            "set/data.yaml": b"names: [tire]",
        },
        ("set",),
        {"train": "s3://BUCKET/set/train/", "eval": "s3://BUCKET/set/valid/"},
        "set holds splits: set/train is for training, set/valid for evaluation; not used: test/ (1 image)\n",
    ),
    "Ultralytics'": (
        {
            "set/images/train/a.jpg": b"",
            "set/labels/train/a.txt": b"",
            "set/images/val/b.jpg": b"",
            "set/labels/val/b.txt": b"",
            "set/data.yaml": b"names: [tire]",
        },
        ("set",),
        {"train": "s3://BUCKET/set/images/train/", "eval": "s3://BUCKET/set/images/val/"},
        "set holds splits: set/images/train is for training, set/images/val for evaluation",
    ),
    "with a larger copy of one": (
        {
            "set/train/a.jpg": b"",
            "set/train/a.txt": b"",
            "set/train - copy/a.jpg": b"",
            "set/train - copy/a.txt": b"",
            "set/train - copy/c.jpg": b"",
            "set/train - copy/c.txt": b"",
            "set/val/b.jpg": b"",
            "set/val/b.txt": b"",
        },
        ("set",),
        {"train": "s3://BUCKET/set/train/", "eval": "s3://BUCKET/set/val/"},
        "set holds splits: set/train is for training, set/val for evaluation; not used: train - copy/ (2 images)\n",
    ),
    "a part of them": (
        {
            "set/images/train/a.jpg": b"",
            "set/labels/train/a.txt": b"",
            "set/images/val/b.jpg": b"",
            "set/labels/val/b.txt": b"",
            "set/data.yaml": b"names: [tire]",
        },
        ("set/images/train", "--eval", "set/images/val"),
        {"train": "s3://BUCKET/set/images/train/", "eval": "s3://BUCKET/set/images/val/"},
        "",
    ),
    "two folders": (
        {"set/pics/a.jpg": b"", "set/xml/a.xml": voc(), "set/pics/b.jpg": b"", "set/xml/b.xml": voc()},
        ("set/pics",),
        {"train": "s3://BUCKET/set/pics/"},
        "",
    ),
}


@pytest.mark.parametrize(("files", "words", "uris", "line"), SPLITS.values(), ids=SPLITS)
def test_splits_that_the_data_came_with_are_those_of_the_run(
    shell: Shell, files: dict[str, bytes], words: tuple[str, ...], uris: dict[str, Any], line: str
) -> None:
    for name, data in files.items():
        made = {".jpg": jpeg(seed=name), ".txt": b"0 0.5 0.5 0.2 0.2\n"}.get(Path(name).suffix, data)
        shell.write(name, made)
    ended = shell.run("doctor", *words, "--classes", "tire")
    found = block_of(ended.out)
    assert {split: found[split]["uri"] for split in ("train", "eval") if split in found} == uris
    assert ("holds splits" in ended.out) is bool(line)
    assert ended.out.startswith(line)


def test_image_sets_that_a_tree_came_with_are_those_of_the_run(shell: Shell) -> None:
    for index in range(3):
        shell.write(f"voc/JPEGImages/{index}.jpg", jpeg(seed=index))
        shell.write(f"voc/Annotations/{index}.xml", voc())
    shell.write("voc/ImageSets/Main/train.txt", b"1\n2\n")
    shell.write("voc/ImageSets/Main/val.txt", b"0\n")
    ended = shell.run("doctor", "voc")
    assert ended.out.startswith("voc holds splits: image set train is for training, val for evaluation\n")
    assert block_of(ended.out)["eval"] == {"uri": "s3://BUCKET/voc/", "imageSet": "val", "format": "pascalVOC"}


def test_the_range_of_deep_images_is_a_part_of_it(shell: Shell) -> None:
    for index in range(4):
        shell.write(f"deep/{index}.png", encoded(deep(seed=index), "PNG"))
        shell.write(f"deep/{index}.xml", voc())
    found = dataset(shell, "deep")["intensityRange"]
    assert found == json.loads((shell.root / "r.json").read_text())["intensityRange"]
    assert found[1] <= 16383
