"""The sequence that an image is a frame of, by its path alone.

Invariant: a path is a frame's only if it names a recording and a position in it. The key holds the name of the
recording and never the position.

The position is a time after the name of a recording, a frame number before one or the word `frame` with its number
after one, whatever follows, or the number at the end of the name.
What is left of the name has to name the recording, otherwise a folder has to:

- the suffix of a video file: `street_mp4-17`, `street.mov/0001`
- a word for a recording, with its number: `clip7`, `vid_1`, `MVI_20011`, `drive_0001`. Only such a folder counts when
  there are other folders between it and the image, and only such a name has a time or a frame number in other places.
- another number, in the name or in the image's folder: `cam2_000123`, `12_000123`, `MOT17-02/000001`

Numbers that say what they count are no recordings: years, dates, sizes, classes (also by ImageNet's synset ids), folds
and batches; nor are the numbers of cameras' folders (`100CANON/IMG_0001`). A date and time followed by a number is a
recording. A path that names only the time of a frame, with parts of a second, belongs to the minute.
"""

from __future__ import annotations

import re

_DIGITS, _SEPARATORS = "0123456789", "-_. "
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_OTHER_NUMBERS = re.compile(
    rf"(?<![0-9])(?:{_YEAR}(?:[-_.]?{_MONTH}(?:[-_.]?{_DAY})?)?"
    rf"|[0-9]{{1,2}}[-_.][0-9]{{1,2}}[-_.]{_YEAR}"
    r"|[0-9]+x[0-9]+)(?![0-9])"
    r"|(?<![a-z0-9])n[0-9]{8}(?![0-9])"
    r"|(?<![a-z])(?:batch|category|class|cls|fold|label)[-_ ]?[0-9]+"
)
"""Numbers that are in many names of a data set although the images are not frames of one video."""
_CAMERA_FOLDER = re.compile("[1-9][0-9]{2}[a-z0-9_]{5}")
_VIDEO = re.compile("[-_.](?:3gp|avi|m4v|mkv|mov|mp4|mpe?g|mts|webm|wmv)(?![a-z0-9])")
_WORDS = "clip|dji|drive|film|footage|gopr|mov|movie|mvi|rec|recording|segment|seq|sequence|uav|vid|video"
_RECORDING = re.compile(rf"(?<![a-z])(?:(?:{_WORDS})[-_ ]?[0-9]+|g[hx][0-9]{{6}}(?![0-9]))")
_FRACTION = "[.,][0-9]{1,9}"
_TIME = re.compile(
    "(?:^|[-_. ])(?:t[-_=]?)?(?:"
    rf"(?:[0-9]{{1,3}}:){{1,2}}[0-9]{{2}}(?:{_FRACTION})?"
    rf"|[0-9]{{2}}[-_.][0-5][0-9][-_.][0-5][0-9](?:{_FRACTION})?"
    rf"|(?:[0-9]{{1,2}}h)?[0-9]{{1,3}}m[0-9]{{1,2}}(?:{_FRACTION})?s"
    rf"|[0-9]{{1,9}}{_FRACTION}s?|[0-9]{{1,9}}(?:ms|sec|s)"
    ")$"
)
"""A time within a recording: `00:01:12.500`, `00-01-12`, `1m12s`, `72.5s`."""
_FRAME_FIRST = re.compile("(?<![a-z])(?:frame|frm|f|t)[-_ ]?[0-9]{1,12}[-_. ]")
_FRAME = re.compile("(?<![a-z])(?:frame|frm)[-_ ]?[0-9]{1,12}(?![0-9])")
_MOMENT = re.compile(
    rf"(?:{_YEAR}[-_.]?{_MONTH}[-_.]?{_DAY}[-_ t]{{0,2}}[0-2][0-9][-_:.]?[0-5][0-9](?=[-_:.]?[0-5][0-9]{_FRACTION}z?$)"
    rf"|(?<![0-9])1[0-9]{{9}}(?={_FRACTION}$))"
)
"""Date, hour and minute, or the seconds since 1970, of a name that ends in parts of a second."""
_VISDRONE = re.compile("([0-9]{7}_)[0-9]{5}(_d)_[0-9]{7}")
"""The frame number of VisDrone-DET stands between the number of the sequence and that of the image."""


def sequence_key(folder: str, name: str) -> str:
    """The key of an image's sequence, or of the image; `folder` and `name`, without suffix, are folded."""
    moment = _MOMENT.search(name)
    if title := _recording_in(name, moment):
        return f"{folder}/{title}"
    numbered = moment or _FRAME.search(name) or name.rstrip(_DIGITS) != name
    if numbered and (found := _recording_folder(folder)) is not None:
        return found
    return f"{folder}/{name if moment is None else name[: moment.start()] + _minute(moment[0])}"


def _recording_in(name: str, moment: re.Match[str] | None) -> str:
    """The name without the position of the frame, if that names a recording, otherwise an empty text."""
    if found := _VISDRONE.fullmatch(name):
        return f"{found[1]}00000{found[2]}"
    if (time := _TIME.search(name)) and (_names_recording(name[: time.start()]) or (time[0] == name and ":" in name)):
        return name[: time.start()].rstrip(_SEPARATORS)
    if moment:
        return name[: moment.start()].rstrip(_SEPARATORS) if _names_recording(name[: moment.start()]) else ""
    if (frame := _FRAME_FIRST.search(name)) and _ends_in_recording(name[frame.end() :]):
        return name[: frame.start()] + name[frame.end() :]
    frame = _FRAME.search(name)
    if frame and frame.end() < len(name) and _identifies(name[: frame.start()]):
        return name[: frame.start()].rstrip(_SEPARATORS)
    before = name.rstrip(_DIGITS)
    title = before.rstrip(_SEPARATORS)
    return title if before != name and _identifies(title) else ""


def _recording_folder(folder: str) -> str | None:
    """The folder that names a recording: that of the image by any number, one above it only by a word as well."""
    last = folder.rpartition("/")[2]
    if _identifies(last) and not _CAMERA_FOLDER.fullmatch(last):
        return folder
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        if _names_recording(folder.rpartition("/")[2]):
            return folder
    return None


def _identifies(text: str) -> bool:
    return _VIDEO.search(text) is not None or any(digit in _DIGITS for digit in _OTHER_NUMBERS.sub("", text))


def _names_recording(text: str) -> bool:
    return _VIDEO.search(text) is not None or _RECORDING.search(_OTHER_NUMBERS.sub("", text)) is not None


def _ends_in_recording(text: str) -> bool:
    return any(found.end() == len(text) for pattern in (_VIDEO, _RECORDING) for found in pattern.finditer(text))


def _minute(moment: str) -> str:
    return str(int(moment) // 60) if moment.isdigit() and len(moment) == 10 else moment
