"""Stands in for a part of Python that the trainer's interpreter is built without; pandas imports it, nobody uses it."""

BZ2Compressor = BZ2Decompressor = None
