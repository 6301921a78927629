"""Calls to the Kubernetes API; the only place that imports its client."""
