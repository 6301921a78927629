"""Checks that the requested GPU is usable: TensorFlow would train on the CPU instead, which can take weeks."""

import os

from trainingrun_trainer.outcomes import TrainerError


def check(gpus: int) -> None:
    """Raise when a GPU was requested and TensorFlow cannot use it; hide all GPUs when none was requested."""
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        return
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        raise TrainerError(
            "gpuUnfit",
            "NoCUDABuild",
            f"train.gpus is {gpus}, but TensorFlow {tf.__version__} in this trainer image is built without CUDA.",
        )
    if not tf.test.is_gpu_available():
        raise TrainerError(
            "gpuUnfit",
            "GPUNotUsable",
            f"train.gpus is {gpus}, but TensorFlow {tf.__version__} finds no GPU that it can use.",
        )
