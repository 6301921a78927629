"""Days of operators in milliseconds: virtual time, a model of the cluster, seeded faults, invariants."""
