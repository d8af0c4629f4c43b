"""docs/reference/machines.md: GPUs and drivers of SageMaker's machines, and what check refuses."""

from collections.abc import Iterator

from artifact.engines.nvidia import DEFAULT_CUDA, HOST_IMAGE, OLDEST_DRIVER
from launch import gpu_hosts
from launch.check_machines import Use, findings_of
from launch.errors import LaunchError
from launch.findings import BAD
from launch.gpu_hosts import BATCH_IMAGES, ENDPOINT_IMAGES, FAMILIES, endpoint_image
from launch.image_facts import named
from reference.markdown import code, prose, table

# Of each step the images that a recipe may name. slipway-train has no other on Arm.
IMAGES = {
    "training": ("train", "train-cuda13"),
    "endpoint": ("serve", "serve-arm64", "serve-gpu", "serve-gpu-cuda13"),
    "batch": ("serve", "serve-gpu", "serve-gpu-cuda13"),
}
# Of the families without a GPU, one of each processor.
PROCESSORS = ("c6i", "c7g")
ABOUT = """
`launch check` compares each image of a recipe with the machine that is to run it, before it costs
anything. `launch deploy` sets InferenceAmiVersion by this table, and `launch batch` sets
TransformAmiVersion. SageMaker's own default is an older driver on most types.
"""


def machines() -> str:
    """The page."""
    return (
        "\n\n".join(
            [
                "# Machines",
                prose(ABOUT),
                "## Drivers",
                table(
                    (
                        "CUDA of the image",
                        "oldest driver",
                        "its host image for an endpoint",
                        "driver",
                    ),
                    _cudas(),
                ),
                table(
                    (
                        *("family", "GPU", "compute capability", "first driver that knows it"),
                        *("endpoint's own driver", f"endpoint, CUDA {DEFAULT_CUDA}"),
                        *("endpoint, CUDA 13", f"batch, CUDA {DEFAULT_CUDA}"),
                    ),
                    _families(),
                ),
                prose(_sources()),
                "## What is refused",
                prose(
                    "Where nothing is said of a family and an image, they fit. Each row shows the "
                    "sentence for its first type. A family without a GPU stands for all of its "
                    "processor: c6i for x86-64, c7g for Arm."
                ),
                table(("step", "image", "families", "what `launch check` says"), _refused()),
            ]
        )
        + "\n"
    )


def _cudas() -> Iterator[tuple[str, ...]]:
    for cuda, image in HOST_IMAGE.items():
        driver = ENDPOINT_IMAGES[image]
        yield str(cuda), str(OLDEST_DRIVER[cuda][0]), code(image), str(driver)


def _families() -> Iterator[tuple[str, ...]]:
    newest = max(BATCH_IMAGES.values())
    for name, family in FAMILIES.items():
        yield (
            name,
            family.gpu,
            family.capability,
            str(family.oldest_driver),
            str(family.endpoint_driver or "not documented"),
            _driver(DEFAULT_CUDA, name),
            _driver(13, name),
            f"driver {newest}" if family.batch and _driver(DEFAULT_CUDA, name) != "no" else "no",
        )


def _driver(cuda: int, family: str) -> str:
    try:
        return f"driver {ENDPOINT_IMAGES[endpoint_image(cuda, _type(family))]}"
    except LaunchError:
        return "no"


def _sources() -> str:
    """What gpu_hosts.py says of them."""
    _, _, sources = (gpu_hosts.__doc__ or "").partition("\n\n")
    return sources


def _refused() -> Iterator[tuple[str, ...]]:
    """Each sentence once, with the families that it is said of."""
    for step, images in IMAGES.items():
        for image in images:
            families: dict[str, list[str]] = {}
            sentences: dict[str, str] = {}
            for family in (*FAMILIES, *PROCESSORS):
                said = _said(step, image, family)
                if said:
                    kind = _without_machine(said, family)
                    families.setdefault(kind, []).append(family)
                    sentences.setdefault(kind, said)
            for kind, names in families.items():
                yield step, code(image), ", ".join(names), prose(sentences[kind])


def _said(step: str, image: str, family: str) -> str:
    """The refusal of one image on one family; empty where they fit."""
    facts = named(image)
    cuda = int(facts.cuda or DEFAULT_CUDA)
    use = Use(step, image, _type(family), cuda)
    found = [one.text.removeprefix(f"{step}: ") for one in findings_of(use, facts)]
    levels = [one.level for one in findings_of(use, facts)]
    return "; ".join(found) if BAD in levels else ""


def _without_machine(sentence: str, family: str) -> str:
    """The sentence without what differs between families of one refusal."""
    one = FAMILIES.get(family)
    plain = sentence.replace(_type(family), "")
    if one:
        plain = plain.replace(one.gpu, "").replace(f"capability {one.capability}", "")
    return plain


def _type(family: str) -> str:
    return f"ml.{family}.xlarge"
