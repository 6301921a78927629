"""S3 servers of other projects, built from source and started on loopback for tests."""
