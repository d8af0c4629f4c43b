"""GPUs, drivers and processors of SageMaker's machines, by the family of their type.

Sources: developer guide, "Best practices to minimize interruptions during GPU driver upgrades" (the
default drivers); CreateEndpointConfig's InferenceAmiVersion and CreateTransformJob's
TransformAmiVersion (the others); NVIDIA, "CUDA GPUs" (compute capabilities), and its driver release
notes (the oldest driver that knows a GPU); Amazon EC2, "Instance types", accelerated computing (the
number of GPUs). Training hosts: AWS names no driver and gives no choice.
"""

import re
from dataclasses import dataclass

from artifact.engines.nvidia import HOST_IMAGE, OLDEST_DRIVER
from launch.errors import LaunchError

# Driver of each host image of an endpoint and of a transform job.
ENDPOINT_IMAGES = {
    "al2-ami-sagemaker-inference-gpu-2-1": 535,
    "al2-ami-sagemaker-inference-gpu-3-1": 550,
    "al2023-ami-sagemaker-inference-gpu-4-1": 580,
}
BATCH_IMAGES = {
    "al2-ami-sagemaker-batch-gpu-470": 470,
    "al2-ami-sagemaker-batch-gpu-535": 535,
}
# What torch's builds for each CUDA have kernels for, where an image's labels do not say it.
KERNELS = {
    12: ("7.0", "7.5", "8.0", "8.6", "9.0", "10.0", "12.0"),
    13: ("7.5", "8.0", "8.6", "9.0", "10.0", "12.0"),
}
# Graviton: ml.c7g, ml.m8g, ml.r6gd and their like. GB200 stands beside NVIDIA's Grace.
ARM = re.compile(r"ml\.([cmrt]\d+g[a-z]*|p6e-gb200)\.")


@dataclass(frozen=True)
class Family:
    """The GPU of an instance family.

    capability: its compute capability. oldest_driver: the first that knows the GPU.
    endpoint_driver: of endpoints without InferenceAmiVersion; None where AWS does not say.
    batch: whether transform jobs may have such machines.
    """

    gpu: str
    capability: str
    oldest_driver: int
    endpoint_driver: int | None = None
    batch: bool = False


FAMILIES = {
    "p2": Family("K80", "3.7", 340, None, True),
    "p3": Family("V100", "7.0", 410, None, True),
    "p3dn": Family("V100", "7.0", 410),
    "g4dn": Family("T4", "7.5", 410, 470, True),
    "g5": Family("A10G", "8.6", 470, 470, True),
    "p4d": Family("A100", "8.0", 450, 470),
    "p4de": Family("A100", "8.0", 450, 470),
    "g6": Family("L4", "8.9", 525, 535, True),
    "g6e": Family("L40S", "8.9", 525, None, True),
    "p5": Family("H100", "9.0", 525, 535),
    "p5e": Family("H200", "9.0", 550, 550),
    "p5en": Family("H200", "9.0", 550, 550),
    "g7": Family("RTX PRO 4500", "12.0", 570),
    "g7e": Family("RTX PRO 6000", "12.0", 570),
    "p6-b200": Family("B200", "10.0", 570),
    "p6-b300": Family("B300", "10.3", 580),
    "p6e-gb200": Family("GB200", "10.0", 570),
}


# The sizes with several GPUs, by family; the others have one. Source: AWS, Batch's and EC2's tables
# of GPU instances.
SEVERAL = {
    "p2": {"8xlarge": 8, "16xlarge": 16},
    "p3": {"8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "g4dn": {"12xlarge": 4, "metal": 8},
    "g5": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "p4d": {"24xlarge": 8},
    "p4de": {"24xlarge": 8},
    "g6": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g6e": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "p5": {"48xlarge": 8},
    "p5e": {"48xlarge": 8},
    "p5en": {"48xlarge": 8},
    "g7e": {"12xlarge": 2, "24xlarge": 4, "48xlarge": 8},
    "p6-b200": {"48xlarge": 8},
    "p6-b300": {"48xlarge": 8},
    "p6e-gb200": {"36xlarge": 4},
}


def gpu_count(instance_type: str) -> int:
    """GPUs of a type with any; 1 where it is not known to have more."""
    family, _, size = instance_type.removeprefix("ml.").rpartition(".")
    return SEVERAL.get(family, {}).get(size, 1)


def family_of(instance_type: str) -> Family | None:
    """The GPU of a type such as ml.g5.xlarge; None where it has none, or a new one."""
    return FAMILIES.get(instance_type.removeprefix("ml.").rpartition(".")[0])


def is_gpu(instance_type: str) -> bool:
    """Whether an instance type has NVIDIA GPUs."""
    return bool(re.match(r"ml\.[pg]\d", instance_type))


def architecture(instance_type: str) -> str:
    """arm64 or amd64, as images name it."""
    return "arm64" if ARM.match(instance_type) else "amd64"


def endpoint_image(cuda: int, instance_type: str) -> str:
    """InferenceAmiVersion whose driver runs an image's CUDA. LaunchError where none does."""
    if cuda not in HOST_IMAGE:
        raise LaunchError(
            f"sagemaker.endpoint.cuda is {cuda}; SageMaker has hosts for "
            + ", ".join(map(str, HOST_IMAGE))
        )
    refusal = kernel_problem(instance_type, KERNELS[cuda], f"CUDA {cuda}")
    if refusal:
        raise LaunchError(refusal)
    family = family_of(instance_type)
    chosen = HOST_IMAGE[cuda]
    if family and family.oldest_driver > ENDPOINT_IMAGES[chosen]:
        return max(ENDPOINT_IMAGES, key=ENDPOINT_IMAGES.__getitem__)
    return chosen


def batch_image(cuda: int, instance_type: str) -> str:
    """TransformAmiVersion whose driver runs an image's CUDA. LaunchError where none does."""
    family = family_of(instance_type)
    if family is None or not family.batch:
        raise LaunchError(f"sagemaker.batch.instance_type: transform jobs have no {instance_type}")
    newest = max(BATCH_IMAGES, key=BATCH_IMAGES.__getitem__)
    needed = OLDEST_DRIVER.get(cuda, (0, 0))[0]
    if needed > BATCH_IMAGES[newest]:
        raise LaunchError(
            f"sagemaker.batch.instance_type is {instance_type}: SageMaker's GPU hosts for batch "
            f"have driver {BATCH_IMAGES[newest]} at most, and CUDA {cuda} needs {needed}; "
            "build the images with CUDA=12, or take a type with processors, such as ml.c6i.2xlarge"
        )
    refusal = kernel_problem(instance_type, KERNELS[cuda], f"CUDA {cuda}")
    if refusal:
        raise LaunchError(refusal)
    return newest


def kernel_problem(instance_type: str, kernels: tuple[str, ...], image: str) -> str | None:
    """One sentence where an image has no kernels for the GPU of a type.

    kernels: compute capabilities such as "8.6". One runs on GPUs of the same major version and of
    its minor version or a later one. Source: NVIDIA, "CUDA C++ Programming Guide", compatibility.
    image: how to name it.
    """
    family = family_of(instance_type)
    if family is None:
        return None
    major, minor = map(int, family.capability.split("."))
    for kernel in kernels:
        own_major, own_minor = map(int, kernel.split("."))
        if own_major == major and own_minor <= minor:
            return None
    return (
        f"{instance_type} has the GPU {family.gpu} with compute capability {family.capability}, "
        f"for which {image} has no kernels (it has {', '.join(kernels)}); "
        "take ml.g4dn, g5, g6 or p4d"
    )
