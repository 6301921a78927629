"""The tutorial's first step: convert the XML files of a folder into one CSV file, in the trainer's interpreter.

Written from the tutorial's description, with no more checks than it has. Images without objects have no line.
"""

import argparse
import glob
import os
from xml.etree import ElementTree as ET

import pandas as pd

COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def rows(path: str) -> list:
    """A row per object of one file."""
    root = ET.parse(path).getroot()  # noqa: S314 - as the tutorial does
    size = root.find("size")
    name, width, height = root.find("filename").text, int(size.find("width").text), int(size.find("height").text)
    found = []
    for element in root.findall("object"):
        box = element.find("bndbox")
        corners = [int(box.find(corner).text) for corner in COLUMNS[4:]]
        found.append((name, width, height, element.find("name").text, *corners))
    return found


def main() -> None:
    """Convert a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", dest="folder", required=True)
    parser.add_argument("-o", dest="output", required=True)
    arguments = parser.parse_args()
    found = []
    for path in glob.glob(os.path.join(arguments.folder, "*.xml")):  # noqa: PTH118, PTH207 - as people wrote it then
        found += rows(path)
    pd.DataFrame(found, columns=COLUMNS).to_csv(arguments.output, index=None)


if __name__ == "__main__":
    main()
