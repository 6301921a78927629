"""Contact sheets of pictures.

Invariant: pictures are embedded in the page; one that cannot be shown is replaced by a sentence.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from trainingrun_agent.prep.report.page.markup import Html, figure, join, name_of, tag
from trainingrun_agent.prep.report.page.pictures import Shown

CLASS_GROUP = "class:"


def groups_of(pictures: Sequence[Shown]) -> dict[str, list[Shown]]:
    """The pictures by group, in their order."""
    groups: dict[str, list[Shown]] = {}
    for picture in pictures:
        groups.setdefault(picture.group, []).append(picture)
    return groups


def samples_section(classes: Sequence[str], groups: Mapping[str, Sequence[Shown]]) -> Html:
    """Sample images of each class that has any."""
    return join(
        tag("section", tag("h3", name_of(name, "span")), sheet(groups[CLASS_GROUP + name]))
        for name in classes
        if CLASS_GROUP + name in groups
    )


def sheet(pictures: Sequence[Shown]) -> Html:
    """A grid of pictures."""
    return tag("div", *map(_picture, pictures), class_="sheet") if pictures else Html("")


def _picture(shown: Shown) -> Html:
    caption = "" if shown.caption == shown.path else f" {shown.caption}"
    return figure(_image(shown), name_of(shown.path), f" ({shown.split})", caption)


def _image(shown: Shown) -> Html:
    if shown.jpeg is None:
        return tag("p", "This image cannot be shown.", class_="missing")
    source = "data:image/jpeg;base64," + base64.b64encode(shown.jpeg).decode()
    return tag("img", src=source, alt=f"{shown.path}: {shown.caption}", decoding="async")
