"""One image and its labels: check, repair boxes, encode as a record. Runs in worker processes."""
