"""Object storage: one interface, its implementations on S3 and on folders, and the documents of the storage layout."""
