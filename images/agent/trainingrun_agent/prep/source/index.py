"""The labels of a whole data set on scratch disk, keyed by image.

Invariant: memory does not grow with the data set; a file is added whole or not at all; every entry keeps
its order, which gives an object its index within its image.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from trainingrun_agent.errors import DiskFull
from trainingrun_agent.prep.model.annotation import MAX_OBJECTS, Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.classes import CLASS_MISSING
from trainingrun_agent.prep.model.codes.kind import kind_of
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_TOO_LARGE, CATEGORY_MISSING, ENTRIES_CONTRADICT
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.readers.values import check_count
from trainingrun_agent.reasons.pods import DISK_FULL_OF_LABELS

MAX_LISTED = {"images": 2_000_000, "objects": 20_000_000, "categories": 50_000}
"""Limits of one file. SQLite needs less than the pod's /tmp to sort the index of so many objects."""
CACHE_KIB = 16 << 10
_BATCH = 10_000
_FEW = 2
_SCHEMA = """
CREATE TABLE images (id INTEGER PRIMARY KEY, file INTEGER, ref TEXT, name TEXT, alias TEXT, width INTEGER,
    height INTEGER, clash INTEGER DEFAULT 0, path TEXT, UNIQUE (file, ref));
CREATE TABLE objects (id INTEGER PRIMARY KEY, file INTEGER, ref TEXT, category TEXT, name TEXT, xmin REAL, ymin REAL,
    xmax REAL, ymax REAL, truncated INTEGER, occluded INTEGER, crowd INTEGER, shape TEXT, code TEXT, fields TEXT);
CREATE TABLE categories (file INTEGER, ident TEXT, name TEXT, PRIMARY KEY (file, ident));
"""
_IMAGE = """INSERT INTO images (file, ref, name, alias, width, height) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (file, ref) DO UPDATE SET clash = clash OR name <> excluded.name OR width <> excluded.width
    OR height <> excluded.height"""
_OBJECT = "INSERT INTO objects VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = """SELECT objects.category, categories.name, objects.name, xmin, ymin, xmax, ymax, truncated, occluded, crowd,
    shape, code, fields FROM objects LEFT JOIN categories
    ON categories.file = ? AND categories.ident = objects.category
    WHERE objects.file = ? AND objects.ref = ? ORDER BY objects.id LIMIT ?"""


@dataclass(frozen=True)
class Listed:
    """An image as a label file lists it."""

    id: int
    file: str
    name: str
    alias: str


@dataclass(frozen=True)
class Content:
    """What an entry in `file` says about its image; `boxes` have the class of each, by all that is said of it."""

    file: str
    size: tuple[int, ...]
    boxes: dict[str, str]


class Index:
    """Written by one thread, then read by many; `categories_shared` when a file's categories serve all files."""

    def __init__(self, path: Path, *, relative: bool, sized: bool, categories_shared: bool) -> None:
        self._path = path
        self._relative, self._sized, self.shared = relative, sized, categories_shared
        self._files: list[str] = []
        self._classless: dict[int, int] = {}
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(f"PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};{_SCHEMA}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._path.unlink(missing_ok=True)

    @contextmanager
    def file(
        self, path: str, *, wanted: Callable[[str], bool], on_write: Callable[[], None] = lambda: None
    ) -> Iterator[Writer]:
        """Add one file, whole or not at all; `on_write` is called before each write. Raises DiskFull."""
        self._files.append(path)
        writer = Writer(self, len(self._files) - 1, wanted, on_write)
        with self._transaction():
            yield writer
            writer.flush()
        if writer.classless:
            self._classless[writer.number] = writer.classless

    def finish(self) -> None:
        """Prepare for look-ups, after all files are added."""
        self._run("CREATE INDEX by_image ON objects (file, ref)")

    @property
    def image_count(self) -> int:
        """How many images all files list."""
        [count] = self._database.execute("SELECT count(*) FROM images").fetchone()
        return int(count)

    def images(self) -> Iterator[Listed]:
        """Every image listed, in the order of the files."""
        for row in self._database.execute("SELECT id, file, name, alias FROM images ORDER BY id"):
            yield Listed(row[0], self._files[row[1]], row[2], row[3])

    def orphans(self) -> Iterator[tuple[str, int, str]]:
        """By file: the number of objects whose image the file does not list, and the first such image's id."""
        query = """SELECT file, count(*), min(ref) FROM objects WHERE NOT EXISTS
            (SELECT 1 FROM images WHERE images.file = objects.file AND images.ref = objects.ref) GROUP BY file"""
        for file, count, ref in self._database.execute(query):
            yield self._files[file], count, ref

    def without_classes(self) -> list[tuple[str, int]]:
        """The files in which no object has a class, and the number of their objects."""
        return [(self._files[file], count) for file, count in self._classless.items()]

    def name_objects(self, path: str, name: str) -> None:
        """Give every object of a file this class."""
        self._run("UPDATE objects SET category = '', name = ? WHERE file = ?", (name, self._files.index(path)))

    def entries_of(self, path: str) -> set[int]:
        """The ids of the entries of a file."""
        query = "SELECT id FROM images WHERE file = ?"
        return {number for (number,) in self._database.execute(query, (self._files.index(path),))}

    def content(self, number: int) -> Content:
        """What an entry, by its id, says about its image."""
        query = "SELECT file, ref, width, height, clash FROM images WHERE id = ?"
        file, ref, *size = self._database.execute(query, (number,)).fetchone()
        rows = self._database.execute(_SELECT, (self.scope(file), file, ref, MAX_OBJECTS + 1)).fetchall()
        # Without the place in the file, which is different in each; a box that is twice in the entry counts once.
        boxes = {repr((named or name, *rest, code)): named or name for _, named, name, *rest, code, _ in rows}
        return Content(self._files[file], tuple(size), boxes)

    def classes_of(self, path: str) -> set[str]:
        """The classes of a file's objects."""
        file = self._files.index(path)
        query = """SELECT DISTINCT coalesce(categories.name, objects.name) FROM objects LEFT JOIN categories
            ON categories.file = ? AND categories.ident = objects.category WHERE objects.file = ?"""
        return {name for (name,) in self._database.execute(query, (self.scope(file), file))}

    def place(self, paths: Iterable[tuple[str, int]]) -> None:
        """Set the path of the image that each entry, by its id, is about."""
        with self._transaction():
            self.run_many("UPDATE images SET path = ? WHERE id = ?", paths)
        self._run("CREATE UNIQUE INDEX by_path ON images (path)")

    def unplaced(self) -> int:
        """How many of the images listed have no path."""
        [(count,)] = self._database.execute("SELECT count(*) FROM images WHERE path IS NULL")
        return int(count)

    def labels(self, entry: Entry) -> Annotation:
        """The labels of the image at a path. Raises UnusableError for the first defect."""
        with self._lock:
            query = "SELECT file, ref, name, width, height, clash FROM images WHERE path = ?"
            file, ref, name, width, height, clash = self._database.execute(query, (entry.path,)).fetchone()
            rows = self._database.execute(_SELECT, (self.scope(file), file, ref, MAX_OBJECTS + 1)).fetchall()
        if clash:
            raise UnusableError(ENTRIES_CONTRADICT, case="image", labelFile=self._files[file])
        check_count(rows)
        objects = tuple(self._object(row, index, file) for index, row in enumerate(rows))
        return Annotation(name, width, height, objects, relative=self._relative, sized=self._sized)

    def _object(self, row: tuple[Any, ...], index: int, file: int) -> LabelledObject:
        category, category_name, name, *rest, code, fields = row
        if code is not None:
            raise UnusableError(kind_of(code), index=index, **json.loads(fields), labelFile=self._files[file])
        if category and category_name is None and not self.shared:
            raise UnusableError(CATEGORY_MISSING, labelFile=self._files[file], id=category, index=index)
        if not name:
            raise UnusableError(CLASS_MISSING, labelFile=self._files[file], index=index)
        xmin, ymin, xmax, ymax, truncated, occluded, crowd, shape = rest
        made = LabelledObject(index, category_name or name, xmin, ymin, xmax, ymax, shape=shape)
        return replace(made, truncated=bool(truncated), occluded=bool(occluded), crowd=bool(crowd))

    def run_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement for each row. Raises DiskFull."""
        with self._disk():
            self._database.executemany(statement, rows)

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        with self._disk():
            self._database.execute(statement, values)

    def scope(self, file: int) -> int:
        """The file whose objects this file's categories name; -1 if they name those of all files."""
        return -1 if self.shared else file

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
        except BaseException:
            self._database.rollback()
            raise
        self._run("COMMIT")

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise DiskFull(DISK_FULL_OF_LABELS, what=self._path.name) from error


class Writer:
    """Receives what a reader finds in one file (readers.base.Entries)."""

    def __init__(self, index: Index, file: int, wanted: Callable[[str], bool], on_write: Callable[[], None]) -> None:
        self._index, self.number, self._on_write = index, file, on_write
        self.wanted = wanted
        self.strays: list[UnusableError] = []
        self._images: list[tuple[Any, ...]] = []
        self._objects: list[tuple[Any, ...]] = []
        self._counts = dict.fromkeys(MAX_LISTED, 0)
        self._classes: set[tuple[str, str]] = set()
        """Of the objects, as category and name: the first few."""

    @property
    def classless(self) -> int:
        """The number of objects if none has a class: no name, or one id in a file that names no ids; else 0."""
        category, name = next(iter(self._classes), ("", "some"))
        one_id = bool(category) and not self._index.shared and not self._counts["categories"]
        return self._counts["objects"] if len(self._classes) == 1 and (one_id or not (category or name)) else 0

    def image(self, ref: str, name: str, *, alias: str = "", width: int = 0, height: int = 0) -> None:
        """Add an image that the file lists."""
        row = (self.number, ref, name, alias, width, height)
        if not self._images or self._images[-1] != row:  # tables repeat it on every line
            self._images.append(row)
            self._count("images")

    def object(
        self, ref: str, place: str, make: Callable[..., LabelledObject | None], *arguments: Any, category: str = ""
    ) -> None:
        """Add an object, or its defect."""
        row: tuple[Any, ...]
        try:
            made = make(*arguments)
        except UnusableError as problem:
            fields = json.dumps({**problem.fields, "where": place})
            row = (self.number, ref, category, *(None,) * 9, problem.code, fields)
        else:
            if made is None:
                return
            corners = (made.xmin, made.ymin, made.xmax, made.ymax)
            flags = (made.truncated, made.occluded, made.crowd, made.shape)
            row = (self.number, ref, category, made.name, *corners, *flags, None, None)
            if len(self._classes) < _FEW:
                self._classes.add((category, made.name))
        self._objects.append(row)
        self._count("objects")

    def category(self, ident: str, name: str) -> None:
        """Add the name of a class; the first name of an id is used."""
        self._count("categories")
        row = (self._index.scope(self.number), ident, name)
        self._index.run_many("INSERT OR IGNORE INTO categories VALUES (?, ?, ?)", [row])

    def stray(self, problem: UnusableError) -> None:
        """Add a defect that belongs to no image; the first hundred are kept."""
        if len(self.strays) < 100:
            self.strays.append(problem)

    def flush(self) -> None:
        """Write the rows that have been collected."""
        self._on_write()
        self._index.run_many(_IMAGE, self._images)
        self._index.run_many(_OBJECT, self._objects)
        self._images.clear()
        self._objects.clear()

    def _count(self, what: str) -> None:
        self._counts[what] += 1
        if self._counts[what] > MAX_LISTED[what]:
            raise UnusableError(ANNOTATION_TOO_LARGE, case=what, limit=MAX_LISTED[what])
        if len(self._images) + len(self._objects) >= _BATCH:
            self.flush()
