"""Assignment of images to splits and to shards."""
