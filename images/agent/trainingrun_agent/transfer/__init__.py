"""Moving data between the bucket and the shared folder."""
