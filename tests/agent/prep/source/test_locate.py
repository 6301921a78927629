"""Data sets as their tools lay them out: where the labels of a folder with images are found, and whose they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from memory_store import MemoryStore
from trainingrun_agent.config import Source
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.image_labels import annotation_of
from trainingrun_agent.prep.source.locate import ListedSource, Sources
from trainingrun_agent.prep.source.several import open_best
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectInfo
from trainingrun_agent.terms import TRAININGRUN
from trainingrun_agent.training_settings import Uri
from voc_data import labelled, voc

BUCKET = "detectors"
STOP = threading.Event()
PROGRESS = Progress(stage="prep", pod_uid="pod-1")


def txt(width: int) -> bytes:
    """A YOLO file with one box as many hundredths wide."""
    return f"0 0.5 0.5 {width / 100} 0.5\n".encode()


def xml(width: int) -> bytes:
    """A VOC file with one box as many pixels wide."""
    return voc([labelled(box=(10, 10, 10 + width, 50))])


def coco(**widths: int) -> bytes:
    """A COCO file with a box as many pixels wide per image; `__` in a name is a slash."""
    names = [name.replace("__", "/") + ".jpg" for name in widths]
    return json.dumps(
        {
            "images": [{"id": at, "file_name": name, "width": 160, "height": 120} for at, name in enumerate(names)],
            "annotations": [
                {"image_id": at, "category_id": 1, "bbox": [10, 10, width, 50]}
                for at, width in enumerate(widths.values())
            ],
            "categories": [{"id": 1, "name": "tire"}],
        }
    ).encode()


def csv(**widths: int) -> bytes:
    """A table of the tutorial with one box per image."""
    rows = [f"{name}.jpg,160,120,tire,10,10,{10 + width},60" for name, width in widths.items()]
    return "\n".join(["filename,width,height,class,xmin,ymin,xmax,ymax", *rows]).encode()


def store_of(files: Mapping[str, bytes], bucket: str = BUCKET) -> MemoryStore:
    store = MemoryStore(bucket)
    store.objects.update(files)
    return store


def listed(store: MemoryStore, source: Source, *others: MemoryStore) -> ListedSource:
    stores = {one.bucket: one for one in (store, *others)}
    return Sources(stores.__getitem__, ("tire",), TRAININGRUN, PROGRESS, STOP).list(source, "train")


def widths(found: ListedSource, scratch: Path) -> tuple[dict[str, int], list[Finding]]:
    """The width of the box of each image that has labels, and the findings about the source."""
    made = {}
    with open_best(
        found.formats, found.listing, found.origin, found.lists, scratch=scratch, progress=PROGRESS, stop=STOP
    ) as best:
        for pair in best.labels.pairing.pairs:
            [item] = annotation_of(best.labels.read(pair), best.format.name).objects
            assert item.name == "tire"
            made[pair.image.path] = round((item.xmax - item.xmin) * (100 if item.xmax <= 1 else 1))
        return made, best.labels.pairing.findings


OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
    "a,xclick,/m/1,1,{},{},0.2,0.4,0,0,0,0,0\n"
)
ULTRALYTICS = {
    **{f"set/images/{split}/{name}.jpg": b"" for split in ("train", "val") for name in ("1", "2")},
    **{f"set/labels/train/{name}.txt": txt(10 * name) for name in (1, 2)},
    **{f"set/labels/val/{name}.txt": txt(10 * name + 40) for name in (1, 2)},
    "set/data.yaml": b"names: [tire]\n",
    "set/train.txt": b"./images/train/1.jpg\n./images/train/2.jpg\n",
}
ROBOFLOW = {
    **{f"set/{split}/images/{name}.jpg": b"" for split in ("train", "valid", "test") for name in ("1", "2")},
    **{f"set/train/labels/{name}.txt": txt(10 * name) for name in (1, 2)},
    **{f"set/valid/labels/{name}.txt": txt(10 * name + 40) for name in (1, 2)},
    **{f"set/test/labels/{name}.txt": txt(10 * name + 70) for name in (1, 2)},
    "set/data.yaml": b"names: [tire]\n",
}
ROBOFLOW_COCO = {
    **{f"set/{split}/{name}.jpg": b"" for split in ("train", "valid") for name in ("1", "2")},
    "set/train/_annotations.coco.json": coco(**{"1": 10, "2": 20}),
    "set/valid/_annotations.coco.json": coco(**{"1": 50, "2": 60}),
}
COCO = {
    **{f"coco/{split}/{name}.jpg": b"" for split in ("train2017", "val2017") for name in ("1", "2")},
    "coco/annotations/instances_train2017.json": coco(**{"1": 10, "2": 20}),
    "coco/annotations/instances_val2017.json": coco(**{"1": 50, "2": 60}),
    "coco/annotations/person_keypoints_train2017.json": coco(**{"1": 99, "2": 99}),
    "coco/annotations/captions_val2017.json": coco(**{"1": 99, "2": 99}),
}
VOC = {
    **{f"VOC2007/JPEGImages/{name}.jpg": b"" for name in ("1", "2")},
    **{f"VOC2007/Annotations/{name}.xml": xml(10 * name) for name in (1, 2)},
}
FLAT = {
    **{f"set/{split}/{name}.jpg": b"" for split, names in (("train", "12"), ("test", "34")) for name in names},
    **{f"set/annots/{name}.xml": xml(10 * name) for name in (1, 2, 3, 4)},
}
TUTORIAL = {
    **{
        f"models/images/{split}/{name}.jpg": b"" for split, names in (("train", "12"), ("test", "34")) for name in names
    },
    "models/data/train_labels.csv": csv(**{"1": 99}),
    "models/images/train_labels.csv": csv(**{"1": 10, "2": 20}),
    "models/images/test_labels.csv": csv(**{"3": 50, "4": 60}),
}
CASES = {
    "ultralytics root": (ULTRALYTICS, "set/", "", {"images/train/1.jpg": 10, "images/val/2.jpg": 60}, 4),
    "ultralytics images": (ULTRALYTICS, "set/images/", "../labels/", {"train/1.jpg": 10, "val/2.jpg": 60}, 4),
    "ultralytics train": (ULTRALYTICS, "set/images/train/", "../../labels/train/", {"1.jpg": 10, "2.jpg": 20}, 2),
    "ultralytics val": (ULTRALYTICS, "set/images/val/", "../../labels/val/", {"1.jpg": 50, "2.jpg": 60}, 2),
    "roboflow root": (ROBOFLOW, "set/", "", {"train/images/1.jpg": 10, "test/images/2.jpg": 90}, 6),
    "roboflow split": (ROBOFLOW, "set/valid/", "", {"images/1.jpg": 50, "images/2.jpg": 60}, 2),
    "roboflow images": (ROBOFLOW, "set/train/images/", "../labels/", {"1.jpg": 10, "2.jpg": 20}, 2),
    "roboflow coco root": (ROBOFLOW_COCO, "set/", "", {"train/1.jpg": 10, "valid/2.jpg": 60}, 4),
    "roboflow coco split": (ROBOFLOW_COCO, "set/valid/", "", {"1.jpg": 50, "2.jpg": 60}, 2),
    "coco train": (COCO, "coco/train2017/", "../annotations/", {"1.jpg": 10, "2.jpg": 20}, 2),
    "coco val": (COCO, "coco/val2017/", "../annotations/", {"1.jpg": 50, "2.jpg": 60}, 2),
    "voc images": (VOC, "VOC2007/JPEGImages/", "../Annotations/", {"1.jpg": 10, "2.jpg": 20}, 2),
    "one folder of labels for both splits": (FLAT, "set/test/", "../annots/", {"3.jpg": 30, "4.jpg": 40}, 2),
    "tables above": (TUTORIAL, "models/images/test/", "../", {"3.jpg": 50, "4.jpg": 60}, 2),
    "Open Images": (
        {
            "oid/train/a.jpg": b"",
            "oid/annotations/class-descriptions-boxable.csv": b"/m/1,tire\n",
            "oid/annotations/train-annotations-bbox.csv": OPEN_IMAGES.format(0.1, 0.3).encode(),
            "oid/annotations/test-annotations-bbox.csv": OPEN_IMAGES.format(0.1, 0.9).encode(),
        },
        "oid/train/",
        "../annotations/",
        {"a.jpg": 20},
        1,
    ),
    "images below images": (
        {f"set/images/a/b/{name}.jpg": b"" for name in "12"} | {f"set/labels/a/b/{n}.txt": txt(n) for n in (1, 2)},
        "set/images/a/b/",
        "../../../labels/a/b/",
        {"1.jpg": 1, "2.jpg": 2},
        2,
    ),
    "a name of one's own": (
        {"set/photos/1.jpg": b"", "set/labels_my-project_2023-01-05/1.xml": xml(7)},
        "set/photos/",
        "../labels_my-project_2023-01-05/",
        {"1.jpg": 7},
        1,
    ),
    "at the root of the bucket": (
        {"images/1.jpg": b"", "labels/1.txt": txt(7)},
        "images/",
        "../labels/",
        {"1.jpg": 7},
        1,
    ),
    "a file for all above, with folders": (
        {"set/train/1.jpg": b"", "set/val/2.jpg": b"", "set/all.json": coco(train__1=10, val__2=20)},
        "set/train/",
        "../",
        {"1.jpg": 10},
        1,
    ),
    "a file for all above, with equal names in its folders": (
        {f"set/{split}/1.jpg": b"" for split in ("train", "val")} | {"set/all.json": coco(val__1=20, train__1=10)},
        "set/train/",
        "../",
        {"1.jpg": 10},
        1,
    ),
    "a file for all two folders up": (
        {f"set/{split}/images/1.jpg": b"" for split in ("train", "valid")}
        | {"set/all.json": coco(valid__images__1=20, train__images__1=10)},
        "set/train/images/",
        "../../",
        {"1.jpg": 10},
        1,
    ),
    "each data set with labels of its own": (
        {f"sets/{name}/images/1.jpg": b"" for name in "ab"}
        | {f"sets/{name}/labels/1.txt": txt(width) for name, width in (("a", 7), ("b", 8))},
        "sets/a/images/",
        "../labels/",
        {"1.jpg": 7},
        1,
    ),
    "a name beside the images that only says labels": (
        {"set/photos/1.jpg": b"", "set/labels-v2/1.txt": txt(7), "set/labels-v1/2.txt": txt(8)},
        "set/photos/",
        "../labels-v2/",
        {"1.jpg": 7},
        1,
    ),
    "a folder in the images with the name of one beside them": (
        {"set/cam1/day/1.jpg": b"", "set/day/1.jpg": b"", "set/all.json": coco(cam1__day__1=7)},
        "set/cam1/",
        "../",
        {"day/1.jpg": 7},
        1,
    ),
    "masks of the same names beside the images": (
        {"set/night/1.jpg": b"", "set/night_masks/1.png": b"", "set/labels/1.txt": txt(7)},
        "set/night/",
        "../labels/",
        {"1.jpg": 7},
        1,
    ),
    "one folder of labels for several of images": (
        {f"set/{name}/{at}.jpg": b"" for at, name in enumerate(("day", "night"))}
        | {f"set/labels/{at}.txt": txt(at + 7) for at in (0, 1)},
        "set/night/",
        "../labels/",
        {"1.jpg": 8},
        1,
    ),
    "what is among the images comes first": (
        {"set/images/1.jpg": b"", "set/images/1.txt": txt(7), "set/labels/1.txt": txt(8)},
        "set/images/",
        "",
        {"1.jpg": 7},
        1,
    ),
}


@pytest.mark.parametrize(("files", "key", "shown", "some", "count"), CASES.values(), ids=CASES)
def test_labels_are_found_from_every_folder_of_a_data_set(
    tmp_path: Path, files: dict[str, bytes], key: str, shown: str, some: dict[str, int], count: int
) -> None:
    found = listed(store_of(files), Source(BUCKET, key))
    boxes, findings = widths(found, tmp_path)
    assert found.origin.labels.shown == shown
    assert {path: width for path, width in boxes.items() if path in some} == some
    assert len(boxes) == count
    told = [finding.file for finding in findings if finding.code == "LabelsElsewhere"]
    assert told[:1] == ([shown] if shown else [])
    assert [finding.code for finding in findings if finding.severity == "error"] == []


OTHERS = {
    "of another split": {"set/train/1.jpg": b"", "set/labels/val/1.txt": txt(7)},
    "in a file for another split": {"set/train/1.jpg": b"", "set/annotations/val.json": coco(**{"1": 7})},
    "in a file that lists images of another split": {"set/train/1.jpg": b"", "set/all.json": coco(val__1=7)},
    "of other images": {"set/train/1.jpg": b"", "set/labels/2.txt": txt(7), "set/all.csv": csv(**{"2": 7})},
    "of another project two folders up": {"set/tires/train/1.jpg": b"", "set/labels/1.txt": txt(7)},
    "in a folder of other things": {"set/train/1.jpg": b"", "set/results/1.txt": txt(7), "set/1.txt": txt(7)},
}


@pytest.mark.parametrize("files", OTHERS.values(), ids=OTHERS)
def test_labels_of_others_are_not_taken(files: dict[str, bytes]) -> None:
    key = "set/tires/train/" if "set/tires/train/1.jpg" in files else "set/train/"
    with pytest.raises(UserError):
        listed(store_of(files), Source(BUCKET, key))


DAY_AND_NIGHT = {f"set/{name}/1.jpg": b"" for name in ("day", "night")}
BESIDE = {
    "in a folder of its name": ("set/night/", DAY_AND_NIGHT | {"set/labels/day/1.txt": txt(7)}),
    "in a folder named for it": ("set/night/", DAY_AND_NIGHT | {"set/day-labels/1.txt": txt(7)}),
    "in a file of its name": ("set/night/", DAY_AND_NIGHT | {"set/day.json": coco(**{"1": 7})}),
    "in a file that names it": ("set/night/", DAY_AND_NIGHT | {"set/all.json": coco(day__1=7)}),
    "in a file of a folder that names it": ("set/night/", DAY_AND_NIGHT | {"set/annotations/a.json": coco(day__1=7)}),
    "both below images": (
        "images/night/",
        {f"images/{name}/1.jpg": b"" for name in ("day", "night")} | {"labels/day/1.txt": txt(7)},
    ),
    "both with images": (
        "set/night/images/",
        {f"set/{name}/images/1.jpg": b"" for name in ("day", "night")} | {"set/labels/day/1.txt": txt(7)},
    ),
}


@pytest.mark.parametrize(("key", "files"), BESIDE.values(), ids=BESIDE)
def test_labels_of_a_folder_beside_the_images_are_not_theirs(key: str, files: dict[str, bytes]) -> None:
    with pytest.raises(UserError) as caught:
        listed(store_of(files), Source(BUCKET, key))
    assert caught.value.reason == "FormatNotRecognised"


def test_names_in_a_named_file_that_are_of_a_folder_beside_the_images_are_not_theirs(tmp_path: Path) -> None:
    labels = store_of({"labels/all.json": coco(day__1=7, night__1=8)}, "photos")
    found = listed(store_of(DAY_AND_NIGHT), Source(BUCKET, "set/night/", labels=LABELS), labels)
    assert widths(found, tmp_path)[0] == {"1.jpg": 8}


CLAIMED = {
    "a folder of labels": ("set/train/", "../labels/", "../valid/1.jpg", "set/labels/1.txt", txt(7)),
    "a folder of labels two folders up": (
        "set/images/train/",
        "../../labels/",
        "../valid/1.jpg",
        "set/labels/1.txt",
        txt(7),
    ),
    "a file": ("set/train/", "../", "../valid/1.jpg", "set/all.json", coco(**{"1": 7})),
    "images below": (
        "set/train/images/",
        "../../labels/",
        "../../valid/images/1.jpg",
        "set/labels/1.txt",
        txt(7),
    ),
}


@pytest.mark.parametrize(("key", "shown", "other", "path", "data"), CLAIMED.values(), ids=CLAIMED)
def test_labels_that_images_of_two_folders_could_have_are_refused(
    key: str, shown: str, other: str, path: str, data: bytes
) -> None:
    store = store_of({f"{key}1.jpg": b"", f"{key.replace('train', 'valid')}1.jpg": b"", path: data})
    with pytest.raises(UserError) as caught:
        listed(store, Source(BUCKET, key))
    assert caught.value.reason == "LabelsOfSeveralFolders"
    assert f"those in {shown} " in str(caught.value)
    assert f": {other} may be meant" in str(caught.value)
    named = Source(BUCKET, key, labels=Uri(BUCKET, f"{path.rpartition('/')[0]}/"))
    assert len(listed(store, named).listing.annotations) == 1


def test_a_neighbour_that_must_not_be_listed_or_read_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of({"set/images/1.jpg": b"", "set/labels/1.txt": txt(7)})
    monkeypatch.setattr(store, "readable", lambda _: False)
    with pytest.raises(UserError):
        listed(store, Source(BUCKET, "set/images/"))


@pytest.mark.parametrize(("image", "text"), [("1.jpg", "1.txt"), ("images/1.jpg", "labels/1.txt")])
def test_labels_beside_do_not_stand_in_for_text_that_is_not_read(image: str, text: str) -> None:
    inside = {f"set/train/{image}": b"", f"set/train/{text}": b"0 20 30 60 80\n"}
    store = store_of({**inside, "set/labels/1.txt": txt(7)})
    with pytest.raises(UserError, match="text with coordinates in pixels"):
        listed(store, Source(BUCKET, "set/train/"))


def test_text_about_an_image_does_not_hide_its_labels_beside() -> None:
    store = store_of({"set/train/1.jpg": b"", "set/train/1.txt": b"a photo of a tire", "set/labels/1.txt": txt(7)})
    assert listed(store, Source(BUCKET, "set/train/")).origin.labels.shown == "../labels/"


def test_neighbours_are_not_listed_where_labels_are_among_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of({"set/images/1.jpg": b"", "set/images/1.xml": xml(7), "set/labels/1.xml": xml(8)})
    monkeypatch.setattr(store, "children", None)
    assert listed(store, Source(BUCKET, "set/images/")).origin.labels.shown == ""


def test_the_folder_above_is_never_listed_with_what_is_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of({**COCO, **{f"coco/other/{number}.bin": b"" for number in range(9)}})
    prefixes: list[str] = []
    real = store.list

    def recorded(prefix: str) -> Iterator[ObjectInfo]:
        prefixes.append(prefix)
        return real(prefix)

    monkeypatch.setattr(store, "children", store_of(COCO).children)
    monkeypatch.setattr(store, "list", recorded)
    listed(store, Source(BUCKET, "coco/val2017/"))
    assert prefixes == ["coco/val2017/", "coco/annotations/"]


LABELS = Uri("photos", "labels/")
NAMED = {
    "yolo": ({"labels/1.txt": txt(7), "labels/2.txt": txt(8)}, {"1.jpg": 7, "2.jpg": 8}),
    "coco of both splits": (
        {
            "labels/instances_train.json": coco(**{"1": 7, "2": 8}),
            "labels/instances_test.json": coco(**{"1": 50, "2": 60}),
        },
        {"1.jpg": 7, "2.jpg": 8},
    ),
    "for more images": ({f"labels/{n}.txt": txt(n) for n in range(1, 9)}, {"1.jpg": 1, "2.jpg": 2}),
    "splits": (
        {f"labels/{split}/{n}.txt": txt(n + more) for n in (1, 2) for split, more in (("test", 50), ("train", 0))},
        {"1.jpg": 1, "2.jpg": 2},
    ),
}


@pytest.mark.parametrize(("files", "boxes"), NAMED.values(), ids=NAMED)
def test_labels_in_a_folder_of_their_own_are_read_and_those_among_the_images_are_not(
    tmp_path: Path, files: dict[str, bytes], boxes: dict[str, int]
) -> None:
    images = store_of({"set/train/1.jpg": b"", "set/train/2.jpg": b"", "set/train/1.txt": txt(99)})
    found = listed(images, Source(BUCKET, "set/train/", labels=LABELS), store_of(files, "photos"))
    assert found.origin.labels.shown.startswith("s3://photos/labels/")
    assert all(entry.path.startswith("s3://photos/labels/") for entry in found.listing.annotations)
    assert widths(found, tmp_path)[0] == boxes


def test_files_for_other_images_in_a_folder_of_labels_are_counted(tmp_path: Path) -> None:
    images = store_of({"set/train/1.jpg": b""})
    labels = store_of({f"labels/{n}.txt": txt(n) for n in range(1, 9)}, "photos")
    _, findings = widths(listed(images, Source(BUCKET, "set/train/", labels=LABELS), labels), tmp_path)
    [told] = [finding for finding in findings if finding.code == "LabelsElsewhere"]
    assert told.seen(TRAININGRUN) == "1 file belongs to the images; 7 more belong to no image of the folder"


def test_a_folder_of_labels_that_is_the_folder_with_the_images_changes_nothing() -> None:
    store = store_of({"set/1.jpg": b"", "set/1.txt": txt(7)})
    plain = listed(store, Source(BUCKET, "set/"))
    named = listed(store, Source(BUCKET, "set/", labels=Uri(BUCKET, "set/")))
    assert (named.formats, named.origin) == (plain.formats, plain.origin)
    assert named.listing.annotations == plain.listing.annotations


JUNK = ["__MACOSX/._a.jpg", "__MACOSX/a.jpg", ".DS_Store", "Thumbs.db", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "._b.jpg"]


def test_files_that_operating_systems_make_for_themselves_are_no_images() -> None:
    store = store_of({f"set/{name}": b"" for name in (*JUNK, "1.jpg", "a/_b.jpg")} | {"set/1.txt": txt(7)})
    assert [image.path for image in listed(store, Source(BUCKET, "set/")).listing.images] == ["1.jpg", "a/_b.jpg"]
