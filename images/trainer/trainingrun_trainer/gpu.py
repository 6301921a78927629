"""Checks that the requested GPU is usable.

TensorFlow would train on the CPU without one, which can take weeks. On a GPU that is newer than its CUDA, it compiles
its own kernels for half an hour, and then hangs or fails in cuDNN and cuBLAS, which have none for that GPU.
"""

import os
import re
from typing import List, Optional, Tuple

from trainingrun_trainer.outcomes import TrainerError

DECLARED = "TRAININGRUN_MAX_COMPUTE_CAPABILITY"  # in the environment of an image of one's own, such as 7.5
# Major version of the newest compute capability that a CUDA version has code for, by the first CUDA version; None if it
# is not known. Code for one minor version runs on the later ones of its major version.
NEWEST_MAJOR = (((13, 0), None), ((12, 8), 12), ((11, 8), 9), ((11, 0), 8), ((0, 0), 7))
CUDA_10 = (10, 0)
AFTER_CUDA_10 = (1, 15)  # the first TensorFlow that exists for a later CUDA than 10: NVIDIA builds it

Version = Tuple[int, int]


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
    found = describe_gpus()
    if not found:
        raise TrainerError(
            "gpuUnfit",
            "GPUNotUsable",
            f"train.gpus is {gpus}, but TensorFlow {tf.__version__} finds no GPU that it can use.",
        )
    check_capabilities(found, newest_major(tf.__version__))


def describe_gpus() -> List[str]:
    """TensorFlow's descriptions of the GPUs that it can use: `…, name: Tesla T4, …, compute capability: 7.5`."""
    from tensorflow.python.client import device_lib

    return [device.physical_device_desc for device in device_lib.list_local_devices() if device.device_type == "GPU"]


def check_capabilities(gpus: List[str], newest: Optional[int]) -> None:
    """Raise when a GPU's compute capability has a later major version than the newest that the image has code for."""
    for gpu in gpus:
        capability = _version(gpu.rpartition("compute capability:")[2])
        if newest is not None and capability is not None and capability[0] > newest:
            name = re.search(r"name: ([^,]*)", gpu)
            raise TrainerError(
                "gpuUnfit",
                "GPUTooNew",
                "{} has compute capability {}.{}, and this trainer image has code for {}.x at most.".format(
                    name.group(1) if name else "The GPU", *capability, newest
                ),
            )


def newest_major(tensorflow: str) -> Optional[int]:
    """The newest major version that the image has code for, as it declares or as its CUDA has; None if not known."""
    declared = _version(os.environ.get(DECLARED, ""))
    if declared is not None:
        return declared[0]
    old = (_version(tensorflow) or AFTER_CUDA_10) < AFTER_CUDA_10
    cuda = CUDA_10 if old else _version(os.environ.get("CUDA_VERSION", ""))  # NVIDIA's base images set it
    return next((major for first, major in NEWEST_MAJOR if cuda is not None and cuda >= first), None)


def _version(text: str) -> Optional[Version]:
    found = re.match(r"\s*(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else None
