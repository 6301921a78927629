"""Object storage: one interface, its S3 client, and the documents of the storage layout."""
