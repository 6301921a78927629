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
    "the frame before its video": ("frame_00012_video3.jpg", "frame_00013_video3.png", "frame_1_video3.jpg"),
    "the frame before its video's file": ("frame12_street_mp4.jpg", "frame13_street_mp4.jpg"),
    "a recording begun at a time": ("2021-03-04_12-33-10_cam1_000123.jpg", "2021-03-04_12-33-10_cam1_000124.jpg"),
    "a camera's file and a frame": ("GOPR0123_frame34.jpg", "GOPR0123_frame35.jpg"),
    "a drone's file and a frame": ("DJI_0001_0042.jpg", "DJI_0001_0043.jpg"),
    "a letter for the frame": ("vid_1_f12.jpg", "vid_1_f13.jpg"),
    "a letter for the time": ("seq03_t0012.jpg", "seq03_t0013.jpg"),
    "a time within a clip": ("clip-3-00:01:12.500.jpg", "clip-3-00:01:13.250.jpg", "clip-3-01:00:00.jpg"),
    "a time with hyphens": ("clip3_00-01-12.jpg", "clip3_00-02-59.jpg", "clip3_00-03-01.500.jpg"),
    "minutes and seconds": ("video7_1m12s.jpg", "video7_1h02m12s.jpg", "video7_2m03.5s.jpg"),
    "seconds": ("video7_72.5.jpg", "video7_73.5s.jpg", "video7_500ms.jpg"),
    "times alone in a clip's folder": ("clip3/00:01:12.500.jpg", "clip3/00:01:13.jpg"),
    "moments within a minute": ("20210304T123310.120.jpg", "20210304T123310.160.jpg", "20210304T123345.000.jpg"),
    "moments with a zone": ("2021-03-04T12:33:10.120Z.jpg", "2021-03-04T12:33:11.120Z.jpg"),
    "seconds since 1970": ("rgb/1305031102.175304.png", "rgb/1305031103.211214.png"),
    "moments of a clip": ("clip7_20210304T123310.120.jpg", "clip7_20210304T124510.120.jpg"),
    "moments in a clip's folder": ("clip7/20210304T123310.120.jpg", "clip7/20210304T124510.120.jpg"),
    "CVAT's frames in a folder": ("video1/frame_000123.PNG", "video1/frame_000124.PNG"),
    "UA-DETRAC": ("MVI_20011/img00001.jpg", "MVI_20011/img00002.jpg"),
    "UA-DETRAC without folders": ("MVI_20011__img00001.jpg", "MVI_20011__img00002.jpg"),
    "MOT": ("MOT17-02/img1/000001.jpg", "MOT17-02/img1/000002.jpg"),
    "VisDrone-DET": ("0000001_02999_d_0000005.jpg", "0000001_03499_d_0000006.jpg"),
    "VisDrone-VID": ("uav0000013_00000_v/0000001.jpg", "uav0000013_00000_v/0000002.jpg"),
    "KITTI raw": (
        "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png",
        "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000006.png",
        "2011_09_26/2011_09_26_drive_0001_sync/image_03/data/0000000006.png",
    ),
    "KITTI tracking": ("image_02/0004/000000.png", "image_02/0004/000001.png"),
    "BDD100K MOT": (
        "b1c66a42-6f7d68ca/b1c66a42-6f7d68ca-0000001.jpg",
        "b1c66a42-6f7d68ca/b1c66a42-6f7d68ca-0000002.jpg",
    ),
    "ImageNet VID": (
        "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00139005/000000.JPEG",
        "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00139005/000001.JPEG",
    ),
    "AU-AIR": ("frame_20190829091111_x_0001973.jpg", "frame_20190829091111_x_0001974.jpg"),
    "TinyPerson": ("labeled_images/bb_V0001_I0000010.jpg", "labeled_images/bb_V0001_I0000020.jpg"),
    "Waymo": (
        "segment-10017090168044687777_6380_000_6400_000_with_camera_labels_0.png",
        "segment-10017090168044687777_6380_000_6400_000_with_camera_labels_1.png",
    ),
    "a video in Roboflow's names": (f"street_mp4-17{RF}.jpg", f"street_mp4-18{RF2}.jpg"),
    "frames in a folder of their clip": ("clip7/frames/0001.jpg", "clip7/frames/0002.jpg"),
    "a frame with a name of its own behind it": (
        "video-2SReBn5LtAkL5HMj2-frame-000123-abcDEF.jpg",  # FLIR ADAS
        "video-2SReBn5LtAkL5HMj2-frame-000124-xyz12.jpg",
    ),
    "7-Scenes": ("seq-01/frame-000123.color.png", "seq-01/frame-000124.color.png"),
    "tiles of DOTA": ("P0001__1__0___0.png", "P0001__0.5__824___1648.png", "P0001.png"),
    "tiles of DOTA by their size": ("P0001__1024__0___512.png", "P0001__1024__512___512.png"),
    "tiles of SAHI": ("berlin_0_0_512_512.png", "berlin_410_0_922_512.png", "berlin.png"),
    "tiles of frames": ("clip7_0001__1__0___0.png", "clip7_0002__1__824___0.png"),
    "copies of tiles": (f"P0001__1__0___0{RF}.jpg", f"P0001__1__824___0{RF2}.jpg"),
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
    "ImageNet's classes": ("n07739344_106.JPEG", "n07739344_9.JPEG", "n00007846_100010.JPEG", "n00007846_100011.JPEG"),
    "ImageNet's classes as folders": ("n07739344/n07739344_106.JPEG", "n07739344/n07739344_107.JPEG"),
    "ImageNet's numbers": ("ILSVRC2013_train_00000001.JPEG", "ILSVRC2013_train_00000002.JPEG"),
    "numbered classes": ("class3_0001.jpg", "class3_0002.jpg", "class_4/1.jpg", "class_4/2.jpg"),
    "numbered batches": ("batch_1/000006.jpg", "batch_1/000008.jpg"),
    "numbered folds": ("fold2/0001.jpg", "fold2/0002.jpg"),
    "a class name and a number": ("apple_12.jpg", "apple_13.jpg", "Abyssinian_100.jpg", "Abyssinian_101.jpg"),
    "COCO's ids": ("000000123456.jpg", "000000123457.jpg", "images/000000581929.jpg", "images/000000581921.jpg"),
    "UUIDs": ("3f2504e0-4f89-11d3-9a0c-0305e82c3301.jpg", "6ba7b810-9dad-11d1-80b4-00c04fd43301.jpg"),
    "hashes": ("d41d8cd98f00b204e9800998ecf84271.jpg", "900150983cd24fb0d6963f7d28e17f72.jpg"),
    "Open Images' ids": ("000a1249af2bc5f0.jpg", "000a1249af2bc5f1a.jpg", "0001eeaf4aed83f9.jpg"),
    "Flickr's ids": ("12345_abcdef.jpg", "12345_abcdee.jpg", "5678901234_1a2b3c4d5e_b.jpg", "5678901234.jpg"),
    "Pexels' ids": ("pexels-photo-1234567.jpeg", "pexels-photo-1234568.jpeg", "pexels-ann-lee-12345.jpg"),
    "product ids": ("4006381333931.jpg", "4006381333948.jpg", "SKU-12345-front.jpg", "SKU-12346-front.jpg"),
    "CVAT's frames without a video": ("frame_000123.PNG", "frame_000124.PNG", "images/frame_000125.PNG"),
    "videos of one frame number": ("frame_00012_video3.jpg", "frame_00012_video4.jpg"),
    "clips at one time": ("clip-3-00:01:12.500.jpg", "clip-4-00:01:12.500.jpg"),
    "sequences of VisDrone-DET": ("0000001_02999_d_0000005.jpg", "0000002_02999_d_0000005.jpg"),
    "moments of two minutes": ("20210304T123310.120.jpg", "20210304T123410.120.jpg", "1305031102.17.png"),
    "a word that ends as one for videos": ("david12/images/1.jpg", "david12/images/2.jpg"),
    "a release of a data set": ("release 2/images/0001.jpg", "release 2/images/0002.jpg"),
    "tiles of two images": ("P0001__1__0___0.png", "P0002__1__0___0.png", "berlin_0_0_512_512.png"),
    "dates and times that are no tiles": ("cam_15_12_2019_1030.jpg", "cam_16_12_2019_1130.jpg"),
    "frames of no video": ("frame_12_a.jpg", "frame_13_a.jpg", "images/frame-000123.color.png"),
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
        ("image", "a/P0001__1__0___824.png", "a/p0001.png"),
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


EARLIER = {
    "clip7_frame_0001.jpg": "/clip7_frame",
    "a/clip7_frame_0001.jpg": "a/clip7_frame",
    "video12_part3_0001.jpg": "/video12_part3",
    "12_000123.jpg": "/12",
    "BloodImage_00001_1.jpg": "/bloodimage_00001",
    "BloodImage_00001.jpg": "/bloodimage_00001",
    "street_mp4-17.jpg": "/street_mp4",
    "street.mov/0001.jpg": "street.mov",
    "MVI_20011/img00001.jpg": "mvi_20011",
    "mot17-02/img1/000001.jpg": "mot17-02/img1",
    "VID_20240131_120000_0001.jpg": "/vid_20240131_120000",
    "IMG_20240131_120000_1.jpg": "/img_20240131_120000",
    "2012-09-11_15_16_58.jpg": "/2012-09-11_15_16",
    "video_2021-03-04_12-33-10.jpg": "/video_2021-03-04_12-33",
    "f12_video3_0001.jpg": "/f12_video3",
    "0000f77c-62c2a288.jpg": "/0000f77c-62c2a",
    "12_34_56.jpg": "/12_34",
    "0012.5.jpg": "/0012",
    "tire.jpg": "/tire",
}
"""Keys of the version before, whose groups were right."""


@pytest.mark.parametrize(("path", "key"), EARLIER.items(), ids=EARLIER)
def test_groups_that_were_right_keep_their_key(path: str, key: str) -> None:
    """The split is drawn by the key: another key would move images of data sets that exist."""
    assert group_key(path, "sequence") == key


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


@pytest.mark.parametrize(
    "path",
    ["", "/", "a", ".jpg", "../a_1.jpg", "\udcff_1.jpg", "1" * 1000 + "a.jpg", "a1" * 500, "1." * 500, "t1_" * 300],
)
@pytest.mark.parametrize("group_by", ["sequence", "folder", "image"])
def test_any_key_of_a_bucket_has_a_split(path: str, group_by: GroupBy) -> None:
    assert split_of(path, SplitRule(Decimal("0.5"), 0, group_by)) in ("train", "eval")
