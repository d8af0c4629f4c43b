"""Look of `launch check` at machines: each image fits the type that is to run it, and its GPU."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from artifact.engines.nvidia import OLDEST_DRIVER
from launch.architectures import architecture_of, facts_of, image_for, problem
from launch.context import LaunchContext
from launch.errors import LaunchError
from launch.findings import BAD, GOOD, WARNING, Finding
from launch.gpu_hosts import (
    KERNELS,
    architecture,
    batch_image,
    endpoint_image,
    family_of,
    gpu_count,
    is_gpu,
    kernel_problem,
)
from launch.image_facts import ImageFacts, image_kind

SERVES_ON_GPUS = "serve-gpu"
SERVES_ON_BOTH = "serve-mms-torch"


@dataclass(frozen=True)
class Use:
    """One use of an image: `step` of the recipe runs `image` on `instance_type`."""

    step: str
    image: str
    instance_type: str
    cuda: int


def machines(context: LaunchContext) -> Iterator[Finding]:
    """Each image runs on its machine, and uses the GPU that the machine has."""
    for use in uses(context):
        name = image_for(context.target.images, use.image, use.instance_type)
        # an image from elsewhere, of which nothing is known, is taken to fit
        found = architecture_of(context, name) or architecture(use.instance_type)
        facts = replace(facts_of(context, name), architecture=found)
        yield from findings_of(replace(use, image=name), facts)


def uses(context: LaunchContext) -> list[Use]:
    """The recipe's images and machines. A serverless endpoint has machines of no type."""
    settings = context.recipe.sagemaker
    endpoint = settings.endpoint
    training = settings.training
    batch = settings.batch
    found = [Use("training", training.image, training.instance_type, endpoint.cuda)]
    if endpoint.kind != "serverless":
        found.append(Use("endpoint", endpoint.image, endpoint.instance_type, endpoint.cuda))
    found.append(Use("batch", batch.image, batch.instance_type, batch.cuda))
    return found


def findings_of(use: Use, facts: ImageFacts) -> Iterator[Finding]:
    """The findings of one use. What fails by itself hides what would follow from it."""
    refusal = problem(use.image, facts.architecture or "amd64", use.instance_type)
    if refusal:
        yield Finding(BAD, f"{use.step}: {refusal}")
        return
    if use.step == "training":
        yield from training_gpu(use, facts)
        return
    has_gpu = is_gpu(use.instance_type)
    kind = image_kind(use.image)
    wants_gpu = kind == SERVES_ON_GPUS or (has_gpu and kind == SERVES_ON_BOTH)
    mismatch = f"{use.step}: image '{use.image}' on {use.instance_type}: "
    if has_gpu and not wants_gpu:
        yield Finding(BAD, mismatch + f"its GPU stays unused; take the image {SERVES_ON_GPUS}")
    elif wants_gpu and not has_gpu:
        yield Finding(BAD, mismatch + "this type has no GPU; take the image serve")
    elif has_gpu:
        finding = serving_gpu(use, facts)
        yield finding
        if finding.level == GOOD:
            yield from idle_gpus(use)


def training_gpu(use: Use, facts: ImageFacts) -> Iterator[Finding]:
    """The image has kernels for the GPU. The driver shows only when the training starts."""
    if not is_gpu(use.instance_type):
        return
    cuda = _major(facts.cuda) or use.cuda
    problem = kernel_problem(use.instance_type, _kernels(facts, cuda), f"the image '{use.image}'")
    if problem:
        yield Finding(BAD, f"training: {problem}")
        return
    needed = OLDEST_DRIVER.get(cuda, (0, 0))[0]
    yield Finding(
        GOOD,
        f"training: {_named(use)}; CUDA {cuda} needs driver {needed}, and AWS does not name that "
        "of its training hosts: with an older one the training ends at its start, and says so",
    )


def serving_gpu(use: Use, facts: ImageFacts) -> Finding:
    """An endpoint's or a transform job's driver runs the image's CUDA, and its GPU the kernels."""
    own = _major(facts.cuda)
    if own and own != use.cuda:
        return Finding(
            BAD,
            f"{use.step}: image '{use.image}' carries CUDA {facts.cuda}; "
            f"set sagemaker.{use.step}.cuda: {own}",
        )
    choose = {"endpoint": endpoint_image, "batch": batch_image}[use.step]
    try:
        host = choose(use.cuda, use.instance_type)
    except LaunchError as error:
        return Finding(BAD, f"{use.step}: {error}")
    problem = kernel_problem(use.instance_type, _kernels(facts, use.cuda), f"'{use.image}'")
    if problem:
        return Finding(BAD, f"{use.step}: {problem}")
    return Finding(GOOD, f"{use.step}: {_named(use)} with {host} for CUDA {use.cuda}")


def idle_gpus(use: Use) -> Iterator[Finding]:
    """A server uses one GPU."""
    count = gpu_count(use.instance_type)
    if count > 1:
        yield Finding(
            WARNING,
            f"{use.step}: {use.instance_type} has {count} GPUs, and a server uses one: the others "
            "would be paid for and stay idle; take a type with one GPU, and more instances",
        )


def multi_model(context: LaunchContext) -> Iterator[Finding]:
    """A multi-model endpoint on GPUs is something that SageMaker documents for Triton only."""
    endpoint = context.recipe.sagemaker.endpoint
    if endpoint.kind == "multi-model" and is_gpu(endpoint.instance_type):
        yield Finding(WARNING, "SageMaker documents multi-model endpoints on GPUs only for Triton")


def _named(use: Use) -> str:
    family = family_of(use.instance_type)
    if family is None:
        return f"{use.instance_type} has a GPU that this version does not know"
    return f"{use.instance_type} has the GPU {family.gpu}"


def _kernels(facts: ImageFacts, cuda: int) -> tuple[str, ...]:
    return facts.gpus or KERNELS.get(cuda, ())


def _major(cuda: str) -> int:
    text = cuda.partition(".")[0]
    return int(text) if text.isdigit() else 0
