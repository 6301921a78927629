"""Tracks of CVAT's video exports: the boxes of each frame that is an image, as CVAT interpolates them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from label_reading import Corners, Read
from label_samples import read
from prep_in_memory import Preparation
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.source.readers import cvat_tracks
from voc_data import jpeg

META = """<meta><task><size>5</size><mode>interpolation</mode><start_frame>{start}</start_frame>
<stop_frame>{stop}</stop_frame><frame_filter>{step}</frame_filter><labels><label><name>tire</name></label></labels>
<original_size><width>128</width><height>64</height></original_size></task><dumped>now</dumped></meta>"""


def box(frame: int, left: float, *, outside: int = 0, keyframe: int = 1, more: str = "") -> str:
    corners = f'xtl="{left}" ytl="20" xbr="{left + 20}" ybr="40"'
    return f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="{keyframe}" {corners} {more}></box>'


def track(*shapes: str, label: str = "tire") -> str:
    return f'<track id="0" label="{label}" source="manual">{"".join(shapes)}</track>'


def video(*tracks: str, start: int = 0, stop: int = 4, step: str = "", meta: str = META) -> Read:
    about = meta.format(start=start, stop=stop, step=step)
    return read("cvat", f"<annotations><version>1.1</version>{about}{''.join(tracks)}</annotations>")


def lefts(made: Read) -> dict[int, list[float]]:
    """By frame, the left sides of its boxes."""
    return {int(name.removeprefix("frame_")): [corners[0] for _, corners in made.boxes(name)] for name in made.images}


READ: dict[str, tuple[Read, dict[int, list[float]]]] = {
    "every frame, as CVAT writes it": (
        video(track(box(0, 0), box(1, 9, keyframe=0), box(2, 10), box(3, 10, outside=1))),
        {0: [0], 1: [9], 2: [10], 3: [], 4: []},
    ),
    "keyframes alone": (video(track(box(0, 0), box(4, 40))), {0: [0], 1: [10], 2: [20], 3: [30], 4: [40]}),
    "an object that leaves": (
        video(track(box(0, 0), box(2, 20, outside=1))),
        {0: [0], 1: [10], 2: [], 3: [], 4: []},
    ),
    "an object that comes back": (
        video(track(box(0, 0), box(1, 0, outside=1), box(3, 30))),
        {0: [0], 1: [], 2: [], 3: [30], 4: [30]},
    ),
    "an object that stays": (video(track(box(1, 5))), {0: [], 1: [5], 2: [5], 3: [5], 4: [5]}),
    "a shape that is no track, just before the end": (video(track(box(3, 5))), {0: [], 1: [], 2: [], 3: [5], 4: []}),
    "a frame twice": (video(track(box(0, 7), box(0, 0), box(4, 40))), {0: [0], 1: [10], 2: [20], 3: [30], 4: [40]}),
    "several tracks": (
        video(track(box(0, 0), box(1, 0, outside=1)), track(box(0, 50), box(1, 0, outside=1))),
        {0: [0, 50], 1: [], 2: [], 3: [], 4: []},
    ),
    "every second frame, not from the first": (
        video(track(box(3, 0), box(7, 40)), start=3, stop=8, step="step=2"),
        {3: [0], 5: [20], 7: [40]},
    ),
    "without <meta>": (video(track(box(0, 0), box(2, 20)), meta=""), {0: [0], 1: [10], 2: [20]}),
    "with <meta> that says nothing": (
        video(track(box(0, 0), box(2, 20)), meta="<meta><stop_frame>x</stop_frame><start_frame/></meta>"),
        {0: [0], 1: [10], 2: [20]},
    ),
}


@pytest.mark.parametrize(("made", "boxes"), READ.values(), ids=READ)
def test_reads(made: Read, boxes: dict[int, list[float]]) -> None:
    assert lefts(made) == boxes
    assert made.strays == []
    assert made.orphans == 0


def corners(made: Read, frame: int) -> tuple[Corners, str]:
    labels = made.images[f"frame_{frame:06d}"]
    assert isinstance(labels, Annotation)
    [item] = labels.objects
    return item.corners, item.shape


def test_angles_turn_the_shorter_way_round() -> None:
    made = video(track(box(0, 0, more='rotation="350"'), box(2, 0, more='rotation="10"')))
    assert corners(made, 1) == ((0, 20, 20, 40), "")
    assert corners(made, 0)[1] == "turned box"


def test_of_a_polygon_the_box_around_it_moves() -> None:
    shapes = ('<polygon frame="0" points="0,0;10,0;5,10"/>', '<polygon frame="2" points="20,0;30,0;25,20;25,10"/>')
    assert corners(video(track(*shapes)), 1) == ((10, 0, 20, 15), "polygon")


def test_the_size_of_the_video_is_that_of_its_images() -> None:
    labels = video(track(box(0, 0))).images["frame_000000"]
    assert isinstance(labels, Annotation)
    assert (labels.width, labels.height) == (128, 64)


def test_a_defect_is_that_of_the_frames_that_need_the_shape() -> None:
    made = video(track(box(0, 0), '<points frame="2" points="1,2"/>', box(3, 0, outside=1)))
    assert [made.defect(f"frame_{frame:06d}") for frame in (1, 2)] == [("BoxMissing", 0)] * 2
    assert lefts(dataclasses.replace(made, images={"frame_000000": made.images["frame_000000"]})) == {0: [0]}


UNREAD = {
    "frames that are no images": (video(track(box(900, 0)), start=900, stop=901), ["TracksUnread"]),
    "frames of which some are images": (
        video(track(box(18, 0), box(30, 12), box(40, 22, outside=1)), stop=50),
        ["FramesWithoutImage"],
    ),
    "several videos of a project": (video(track(box(0, 0)), meta=META + META), ["TracksUnread"]),
    "no name": (video(track(box(0, 0), label="")), []),
}


@pytest.mark.parametrize(("made", "strays"), UNREAD.values(), ids=UNREAD)
def test_reports_what_is_tied_to_no_image(made: Read, strays: list[str]) -> None:
    assert made.strays == strays
    assert made.orphans == 0


def test_a_frame_beyond_all_videos_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvat_tracks, "MAX_FRAMES", 100)
    assert video(track(box(10**9, 0)), stop=10**9).strays == ["FramesWithoutImage"]


def test_a_track_that_goes_back_is_refused() -> None:
    with pytest.raises(UnusableError, match="EntriesContradict: a track goes back from frame 4 to frame 0"):
        video(track(box(4, 40), box(0, 0)))


def test_a_video_export_with_images_is_prepared(tmp_path: Path) -> None:
    prep = Preparation(tmp_path, max_bad_files="100%")
    prep.eval = None
    text = META.format(start=0, stop=2, step="") + track(box(0, 0), box(2, 20, outside=1))
    prep.memory.objects["train/annotations.xml"] = f"<annotations>{text}</annotations>".encode()
    prep.memory.objects |= {f"train/images/frame_00000{n}.PNG": jpeg(128, 64, seed=str(n)) for n in range(3)}
    made = prep.run()
    assert (made.train_images, made.max_boxes_per_image) == (3, 1)
    assert prep.codes() == {"FormatMismatch": 3, "FoundByName": 1}
