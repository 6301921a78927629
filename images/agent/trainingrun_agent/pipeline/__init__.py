"""pipeline.config of the Object Detection API, built from the typed spec and checked against the API's own protos."""

from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.networks import NETWORKS

__all__ = ["NETWORKS", "build_pipeline_config"]
