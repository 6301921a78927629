"""Replace a module that the trainer's Python is built without; pandas imports it but does not use it here."""

BZ2Compressor = BZ2Decompressor = None
