"""Which split and which shard an image belongs to."""
