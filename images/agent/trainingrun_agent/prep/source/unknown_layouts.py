"""Say what lies in a folder whose labels are in no format that is read, what it lacks, and the way out.

Invariant: a bounded number of files is looked at; the answer names a file for everything it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.readers.box_csv import missing_columns
from trainingrun_agent.prep.source.readers.outline import Outline, outline
from trainingrun_agent.prep.source.readers.values import text_of

LOOKS, MAX_SEEN = 3, 3
"""Files of a suffix that are looked at; layouts that a message names."""
_AS_CSV = "write a CSV with the columns image,xmin,ymin,xmax,ymax,class"
_AS_COCO = "export COCO or PascalVOC from the tool"
_NUMBER = r"-?\d{1,9}(?:\.\d{0,20})?"
_PIXELS = re.compile(rf"\d{{1,6}}(?:[ \t]+{_NUMBER}){{4,12}}")
_NAMED = re.compile(rf"[^\W\d][^\s,]{{0,99}}(?:[ \t]+{_NUMBER}){{4}}")
_CLASSLESS = re.compile(rf"{_NUMBER}(?:(?:[ \t]+|,[ \t]{{0,3}}){_NUMBER}){{3}}")
_KITTI = re.compile(rf"[^\W\d][^\s,]{{0,99}}(?:[ \t]+{_NUMBER}){{14,15}}")
_TRACKED = re.compile(rf"\d{{1,9}}(?:,{_NUMBER}){{5,10}}")
_LISTED = re.compile(r"[^\s,]{1,200}\.[A-Za-z]{3,4}(?:[ \t]+\d{1,6}(?:,\d{1,6}){4}){1,5}(?:[ \t].*)?")
_WIDER = re.compile(r"[^\s,]{1,200}\.[A-Za-z]{3,4}\s{0,3}\n\d{1,6}\s{0,3}\n\d{1,6}(?: \d{1,6}){3}")
_READ = re.compile(r"\d{1,6}(?:,[ ]?\d{1,6}){7},[ ]?[^\d\s,.-].{0,200}")
_COUNTED = re.compile(r"\d{1,4}\s{0,3}\n\d{1,6}(?:[ \t]+\d{1,6}){3}\s{0,3}(?:\n|$)")
_ROOT = re.compile(r"<([A-Za-z_][\w.-]{0,60})")
_MASKS = re.compile(r"(?:^|/)(?:[^/]*(?:mask|segment|trimap)[^/]*/.*|[^/]*[_-](?:mask|seg|gt)\.[a-z]+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """What files look like, and what to do about it."""

    what: str
    way_out: str


TEXTS: tuple[tuple[Callable[[str], bool], Layout], ...] = (
    (
        lambda text: text.startswith("# Compatible with PASCAL Annotation Version 1.00"),
        Layout("PASCAL Annotation 1.00 text", _AS_CSV),
    ),
    (lambda text: _first(text, _KITTI), Layout("KITTI text", _AS_CSV)),
    (lambda text: _first(text, _READ), Layout("ICDAR text, four corners and what is written there", _AS_CSV)),
    (lambda text: _first(text, _LISTED), Layout("YOLO Keras text, a line per image with all its boxes", _AS_CSV)),
    (lambda text: _WIDER.match(text) is not None, Layout("WIDER FACE text", _AS_CSV)),
    (lambda text: _first(text, _TRACKED), Layout("MOT text, one line per box and frame", _AS_CSV)),
    (
        lambda text: _COUNTED.match(text) is not None,
        Layout("BBox-Label-Tool text: a count, then pixels, the class in the folder's name", _AS_CSV),
    ),
    (
        lambda text: _first(text, _NAMED),
        Layout("text with a class name and four numbers per line; YOLO has a class id", _AS_CSV),
    ),
    (
        lambda text: _first(text, _PIXELS),
        Layout("text with coordinates in pixels; YOLO has parts of the image's size", _AS_CSV),
    ),
    (
        lambda text: _first(text, _CLASSLESS),
        Layout("text with four numbers per line and no class; YOLO has a class id before them", _AS_CSV),
    ),
)
DOCUMENTS: tuple[tuple[Callable[[Outline], bool], Layout], ...] = (
    (
        lambda found: found.array and found.has("annotations"),
        Layout(
            "Create ML whose annotations have no label and coordinates {x, y, width, height}, or no image",
            "export it again, or write these keys",
        ),
    ),
    (lambda found: found.has("items") and found.has("categories"), Layout("Datumaro JSON", _AS_COCO)),
    (lambda found: found.has("objects") and found.has("frames"), Layout("Supervisely JSON of a video", _AS_COCO)),
    (lambda found: found.has("assets") or (found.has("asset") and found.has("regions")), Layout("VoTT JSON", _AS_COCO)),
    (
        lambda found: found.has("metadata") and found.has("attribute") and found.has("view"),
        Layout("VGG Image Annotator 3 JSON", "label with version 2, or write a CSV with its annotations"),
    ),
    (
        lambda found: found.has("frames"),
        Layout("Scalabel or BDD100K JSON", "convert it to COCO with bdd100k.label.to_coco"),
    ),
    (lambda found: found.array and found.has("labels"), Layout("Scalabel or BDD100K JSON", "convert it to COCO")),
    (
        lambda found: bool({"data_row", "Labeled Data", "Label"} & set(found.keys)),
        Layout("Labelbox JSON", "convert it to COCO with labelbox's converter"),
    ),
    (lambda found: found.has("samples"), Layout("FiftyOne JSON", "export the data set as COCODetectionDataset")),
    (lambda found: found.has("features"), Layout("GeoJSON", _AS_CSV)),
    (lambda found: found.has("annotations") and found.has("datasetId"), Layout("Dataloop JSON", _AS_COCO)),
    (lambda found: found.has("annotations") and found.has("item"), Layout("V7 Darwin JSON", _AS_COCO)),
    (lambda found: found.has("images", "image_name", "labels"), Layout("Hasty JSON", _AS_COCO)),
    (
        lambda found: found.array and found.has("image_id") and found.has("score"),
        Layout("COCO results: what a detector has found, not labels", "use the labels that people made"),
    ),
    (
        lambda found: found.has("annotations") and not found.has("images"),
        Layout("COCO without its list `images`, so that no file is named", "export it again, with images"),
    ),
    (
        lambda found: found.has("images") and not found.has("annotations"),
        Layout("JSON with `images`, none of which has a file_name", "write COCO: images with id and file_name"),
    ),
)
OTHERS = {
    ".mat": Layout("MATLAB files", f"{_AS_CSV}, for example with scipy.io.loadmat"),
    ".tfrecord": Layout("TFRecords", "upload the images and labels that they were made from"),
    ".record": Layout("TFRecords", "upload the images and labels that they were made from"),
    ".parquet": Layout("Parquet tables", _AS_CSV),
    ".jsonl": Layout("JSON lines", _AS_COCO),
    ".ndjson": Layout("JSON lines", _AS_COCO),
    ".manifest": Layout("SageMaker's manifest", _AS_COCO),
    ".xlsx": Layout("Excel tables", "save the table as CSV"),
    ".pkl": Layout("Python pickles", _AS_CSV),
    ".npy": Layout("NumPy arrays", _AS_CSV),
    ".npz": Layout("NumPy arrays", _AS_CSV),
    ".h5": Layout("HDF5 files", _AS_CSV),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), Layout("archives", "unpack them before uploading")),
}
"""By the suffix of files that no format has."""


@dataclass(frozen=True)
class Seen:
    """Files of one layout: how many may be such, and one that is."""

    layout: Layout
    count: int
    example: str

    def __str__(self) -> str:
        files = "file" if self.count == 1 else "files"
        return f"{self.layout.what} ({self.count} {files}, such as {self.example})"


def seen_layouts(listing: Listing, head: Callable[[Entry], bytes]) -> list[Seen]:
    """What lies there, the most frequent first; nothing if it does not look like labels."""
    found = [*_labels(listing, head), *_others(listing), *_masks(listing)]
    return sorted(found, key=attrgetter("count"), reverse=True)[:MAX_SEEN]


def _labels(listing: Listing, head: Callable[[Entry], bytes]) -> Iterator[Seen]:
    for suffix, files in listing.by_suffix.items():
        for entry in islice((one for one in files if one.size), LOOKS):
            layout = layout_of(suffix, head(entry))
            if layout is not None:
                yield Seen(layout, len(files), entry.path)
                break


def layout_of(suffix: str, head: bytes) -> Layout | None:
    """What a file that begins like this looks like; None for one that is hardly labels."""
    text = text_of(head).lstrip("\ufeff \t\r\n")
    if suffix == ".txt":
        return next((layout for looks, layout in TEXTS if looks(text)), None)
    if suffix == ".csv":
        return _table(text, head)
    if suffix == ".json":
        return _document(head)
    return _markup(text) if suffix == ".xml" else None


def _first(text: str, line: re.Pattern[str]) -> bool:
    """Whether the first line that is not empty has this form."""
    first = next((one for one in islice(text.splitlines(), 20) if one.strip()), "")
    return line.fullmatch(first.strip()) is not None


def _table(text: str, head: bytes) -> Layout | None:
    missing = missing_columns(head)
    columns = text.split("\n", 1)[0].strip()[:100]
    if not missing or "," not in columns.replace(";", ",").replace("\t", ","):
        return None
    return Layout(f"CSV that begins with {columns!r} and has no column for {missing}", _AS_CSV)


def _document(head: bytes) -> Layout | None:
    found = outline(head)
    known = next((layout for looks, layout in DOCUMENTS if looks(found)), None)
    if known is not None or not found.keys:
        return known
    return Layout(f"JSON with the keys {', '.join(found.keys[:6])[:100]}", _AS_COCO)


def _markup(text: str) -> Layout | None:
    root = next((name for name in _ROOT.findall(text[:4096]) if name != "annotation"), None)
    if root is None:
        return None
    tool = "dlib's imglab XML" if root == "dataset" else f"XML whose root is <{root}>"
    return Layout(f"{tool}; PascalVOC has <annotation>, CVAT <annotations>", _AS_COCO)


def _others(listing: Listing) -> Iterator[Seen]:
    for suffix, (count, example) in listing.others.items():
        if layout := OTHERS.get(suffix):
            yield Seen(layout, count, example)


def _masks(listing: Listing) -> Iterator[Seen]:
    masks: Sequence[str] = [image.path for image in listing.images if _MASKS.search(image.path)]
    if masks:
        layout = Layout("masks", "write the box around each object of a mask into a CSV or COCO file")
        yield Seen(layout, len(masks), masks[0])
