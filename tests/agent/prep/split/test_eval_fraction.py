"""The split of an image depends on its path and the rule; frames of one video stay together, other images do not."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import pytest

from trainingrun_agent.config import GroupBy, SplitRule
from trainingrun_agent.prep.split.eval_fraction import group_key, split_of

RULE = SplitRule(Decimal("0.15"), seed=0, group_by="sequence")
RF = "_jpg.rf.0123456789abcdef0123456789abcdef"
RF2 = "_jpg.rf.fedcba9876543210fedcba9876543210"

TOGETHER: dict[str, tuple[str, ...]] = {
    "frames of a numbered clip": ("clip7_frame_0001.jpg", "clip7_frame_12.png", "clip7_frame-3.png"),
    "number and number": ("video12_000123.jpg", "video12_000124.jpg"),
    "a number alone": ("12_000123.jpg", "12-000001.jpg"),
    "frames in a folder of their own": ("clip7/frame_0001.jpg", "clip7/frame_0002.jpg", "clip7/0003.jpg"),
    "folder of a video file": ("street.mov/0001.jpg", "street.mov/0002.jpg"),
    "named after a video file": ("street_mp4-17.jpg", "street_mp4-18.jpg"),
    "named after another": ("street.avi_17.jpg", "street.avi_18.jpg"),
    "a recording": ("VID_20240131_120000_0001.jpg", "VID_20240131_120000_0002.jpg"),
    "a drive of a day": ("2011_09_26_drive_0001/0000000005.png", "2011_09_26_drive_0001/0000000006.png"),
    "case": ("Clip7_Frame_1.JPG", "clip7_frame_2.jpg"),
    "parts of an image with it": ("BloodImage_00001.jpg", "BloodImage_00001_1.jpg", "BloodImage_00001_2.jpg"),
    "copies with their image": ("BloodImage_00001.jpg", f"BloodImage_00001{RF}.jpg", f"BloodImage_00001{RF2}.jpg"),
    "copies of copies": ("a.jpg", f"a{RF}{RF2}.jpg"),
    "copies of frames": (f"clip7_frame_0001{RF}.jpg", f"clip7_frame_0002{RF2}.jpg", "clip7_frame_0003.jpg"),
}

APART: dict[str, tuple[str, ...]] = {
    "a word and a number": ("BloodImage_00001.jpg", "BloodImage_00002.jpg"),
    "a camera's names": ("DSC00012.jpg", "DSC00013.jpg", "IMG_0001.JPG", "IMG_0002.JPG"),
    "a folder of any name": ("images/0001.jpg", "images/0002.jpg", "JPEGImages/a_1.jpg", "JPEGImages/a_2.jpg"),
    "folder of a year": ("2020/0001.jpg", "2020/0002.jpg"),
    "folders of dates": (
        "2020-05-31/1.jpg",
        "2020-05-31/2.jpg",
        "2020_05/1.jpg",
        "31.05.2020/1.jpg",
        "31.05.2020/2.jpg",
    ),
    "folder of a camera": ("DCIM/100CANON/IMG_0001.jpg", "DCIM/100CANON/IMG_0002.jpg"),
    "year and number": ("2007_000027.jpg", "2007_000032.jpg", "2008_000002.jpg"),
    "year at a word": ("COCO_train2014_000000000009.jpg", "COCO_train2014_000000000025.jpg"),
    "folder with a year": ("train2017/000000000009.jpg", "train2017/000000000025.jpg"),
    "date and number": ("IMG-20240131-WA0001.jpg", "IMG-20240131-WA0002.jpg"),
    "dates": ("2024-01-30.jpg", "2024-01-31.jpg", "20240131.jpg"),
    "date and time of a photo": ("IMG_20240131_120000.jpg", "IMG_20240131_120011.jpg", "20240131_120000.jpg"),
    "size in pixels": ("tire_640x480_0001.jpg", "tire_640x480_0002.jpg"),
    "clips": ("clip7_frame_0001.jpg", "clip8_frame_0001.jpg", "clip7/frame_0001.jpg", "b/clip7_frame_0001.jpg"),
    "unnumbered names in a clip's folder": ("clip7/start.jpg", "clip7/end.jpg"),
    "names without number": ("a.jpg", "b.jpg", "tire (1).jpg", "tire (2).jpg"),
    "copies of two images": (f"BloodImage_00001{RF}.jpg", f"BloodImage_00002{RF}.jpg"),
    "hexadecimal names": ("0000f77c-62c2a288.jpg", "0000f77c-6257be58.jpg"),
}


@pytest.mark.parametrize("paths", TOGETHER.values(), ids=TOGETHER)
def test_one_sequence_is_one_group(paths: tuple[str, ...]) -> None:
    assert len({group_key(path, "sequence") for path in paths}) == 1


@pytest.mark.parametrize("paths", APART.values(), ids=APART)
def test_images_of_no_sequence_are_separate_groups(paths: tuple[str, ...]) -> None:
    assert len({group_key(path, "sequence") for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("group_by", "path", "key"),
    [
        ("folder", "Site A/day 2/0001.jpg", "site a/day 2"),
        ("folder", "0001.jpg", ""),
        ("image", "Site A/Clip7_0001.JPG", "site a/clip7_0001.jpg"),
        ("image", "clip7_0001.jpg", "clip7_0001.jpg"),
        ("image", f"a/Name{RF}.png", "a/name.jpg"),
    ],
)
def test_groups_of_the_other_rules(group_by: GroupBy, path: str, key: str) -> None:
    assert group_key(path, group_by) == key


@pytest.mark.parametrize("group_by", ["sequence", "folder", "image"])
def test_unicode_form_does_not_count(group_by: GroupBy) -> None:
    path = "Fräse 7/Bürste_0001.jpg"
    forms = {group_key(unicodedata.normalize(form, path), group_by) for form in ("NFC", "NFD")}
    assert len(forms) == 1


def _names(count: int) -> list[str]:
    return [f"BloodImage_{number:05d}.jpg" for number in range(count)]


@pytest.mark.parametrize("fraction", ["0.0001", "0.15", "0.5", "0.9999"])
@pytest.mark.parametrize("seed", [0, 1, 2147483647])
def test_the_eval_split_has_about_the_given_fraction(fraction: str, seed: int) -> None:
    """The number of images is within four standard deviations of a binomial distribution."""
    count, share = 20_000, float(fraction)
    rule = SplitRule(Decimal(fraction), seed, "sequence")
    found = sum(split_of(name, rule) == "eval" for name in _names(count))
    assert abs(found - count * share) <= 4 * (count * share * (1 - share)) ** 0.5 + 1


def test_the_chosen_images_never_change() -> None:
    """Stored data sets depend on the hash: another one would move their images to the other split."""
    chosen = [name for name in _names(40) if split_of(name, RULE) == "eval"]
    assert chosen == [f"BloodImage_{number:05d}.jpg" for number in (15, 21, 22, 24, 33)]


def test_another_seed_chooses_other_images() -> None:
    chosen = [
        {name for name in _names(1000) if split_of(name, SplitRule(RULE.fraction, seed, "image")) == "eval"}
        for seed in (0, 1)
    ]
    assert len(chosen[0] & chosen[1]) < len(chosen[0]) / 2


def test_a_larger_fraction_keeps_the_images_of_a_smaller_one() -> None:
    small, large = (
        {name for name in _names(1000) if split_of(name, SplitRule(Decimal(share), 0, "image")) == "eval"}
        for share in ("0.1", "0.2")
    )
    assert small < large


def test_frames_of_one_video_are_in_one_split() -> None:
    for clip in range(50):
        assert len({split_of(f"clip{clip}_frame_{frame:04d}.jpg", RULE) for frame in range(30)}) == 1


@pytest.mark.parametrize("path", ["", "/", "a", ".jpg", "../a_1.jpg", "\udcff_1.jpg", "1" * 1000 + "a.jpg", "a1" * 500])
@pytest.mark.parametrize("group_by", ["sequence", "folder", "image"])
def test_any_key_of_a_bucket_has_a_split(path: str, group_by: GroupBy) -> None:
    assert split_of(path, SplitRule(Decimal("0.5"), 0, group_by)) in ("train", "eval")
