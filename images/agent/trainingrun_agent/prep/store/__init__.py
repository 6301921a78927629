"""The data set in the bucket: publish it, and find what the previous preparation left."""
