"""Names of images in label files that lie outside of the folder with the images."""

from __future__ import annotations

import pytest

from trainingrun_agent.prep.source.home import Home
from trainingrun_agent.prep.source.index import Listed

NAMES = [
    ("set/train/", "1.jpg", "1.jpg"),
    ("set/train/", "train/1.jpg", "1.jpg"),
    ("set/train/", "train/a/1.jpg", "a/1.jpg"),
    ("set/train/", "a/1.jpg", "a/1.jpg"),
    ("set/train/", "val/1.jpg", None),
    ("set/train2017/", "val2017/1.jpg", None),
    ("set/Train/", "C:\\pics\\train\\1.jpg", "1.jpg"),
    ("set/train/", "/home/me/old/train/a/1.jpg", "a/1.jpg"),
    ("set/train/images/", "train/images/1.jpg", "1.jpg"),
    ("set/train/images/", "images/1.jpg", "1.jpg"),
    ("set/train/images/", "valid/images/1.jpg", None),
    ("set/train/images/", "valid/1.jpg", None),
    ("set/photos/", "val/1.jpg", "val/1.jpg"),
    ("", "val/1.jpg", "val/1.jpg"),
]


@pytest.mark.parametrize(("key", "name", "meant"), NAMES)
def test_a_name_means_an_image_of_the_folder_or_of_another_split(key: str, name: str, meant: str | None) -> None:
    found = [image.name for image in Home(key).listed([Listed(1, "all.json", name, "")])]
    assert found == ([] if meant is None else [meant])


BESIDE = [
    ("day/1.jpg", None),
    ("day/images/1.jpg", None),
    ("images/day/a.jpg", None),
    ("night/day/1.jpg", "day/1.jpg"),
    ("day/night/1.jpg", None),
    ("C:\\day\\pics\\1.jpg", None),
    ("/home/me/day/tires/1.jpg", "/home/me/day/tires/1.jpg"),
    ("birthday/1.jpg", "birthday/1.jpg"),
]


@pytest.mark.parametrize(("name", "meant"), BESIDE)
def test_a_name_means_an_image_of_the_folder_or_of_one_beside_it(name: str, meant: str | None) -> None:
    home = Home("set/night/", frozenset(["day"]))
    assert [image.name for image in home.listed([Listed(1, "all.json", name, "")])] == (
        [] if meant is None else [meant]
    )
