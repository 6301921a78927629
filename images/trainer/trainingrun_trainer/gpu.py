"""Is the GPU that was asked for there, and does this TensorFlow serve it? Training on a CPU by mistake takes weeks."""

import os

from trainingrun_trainer.outcomes import TrainerError


def check(gpus):
    # type: (int) -> None
    """Raise when a GPU was asked for and TensorFlow cannot use it; hide all GPUs when none was."""
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        return
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        raise TrainerError(
            "gpuUnfit",
            "NoCUDABuild",
            "train.gpus is 1, but the TensorFlow {} of this image is built without CUDA.".format(tf.__version__),
            "Use a GPU trainer image (train.image), or set train.gpus to 0.",
        )
    if not tf.test.is_gpu_available():
        raise TrainerError(
            "gpuUnfit",
            "GPUNotUsable",
            "train.gpus is 1, but TensorFlow {} sees no GPU that it can use.".format(tf.__version__),
            "TensorFlow 1.14 (CUDA 10.0) serves GPUs up to Turing; newer ones need an image with NVIDIA's TensorFlow "
            "1.15 (train.image). Also check the node's driver.",
        )
