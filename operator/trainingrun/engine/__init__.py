"""The loop: cache, queue, reconcile; the only place that joins decisions with I/O."""
