"""From a folder in the bucket to pairs of an image and its labels: list, recognise the format, read, match names."""
