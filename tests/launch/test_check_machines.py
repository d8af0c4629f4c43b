"""Images against machines: which combinations `launch check` refuses, and which drivers are set."""

import json

import pytest

from launch.architectures import fitting_image
from launch.check_machines import Use, findings_of, machines, multi_model
from launch.errors import LaunchError
from launch.findings import WARNING
from launch.gpu_hosts import (
    BATCH_IMAGES,
    ENDPOINT_IMAGES,
    FAMILIES,
    architecture,
    batch_image,
    endpoint_image,
    family_of,
    is_gpu,
    kernel_problem,
)
from launch.image_facts import ImageFacts, facts_in, note, noted, push_command
from launch.requests_batch import transform_job
from tests.support.launching import ScriptedAws, recipe, target

URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-{}@sha256:" + "0" * 64
TORCH_12 = "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"


@pytest.fixture
def found(tmp_path, monkeypatch):
    """What the look says of a recipe: `step: level and text`, by step."""
    monkeypatch.setenv("SLIPWAY_IMAGES", str(tmp_path / "images.json"))

    def look(facts: dict[str, str] | None = None, **settings: object) -> dict[str, str]:
        context = ScriptedAws(recipe(**settings), tmp_path).context
        for name, text in (facts or {}).items():
            context.target.images[name] = URI.format(name)
            note(tmp_path / "images.json", URI.format(name), facts_in(text))
        by_step = {}
        for finding in machines(context):
            step, _, rest = finding.text.partition(": ")
            by_step[step] = f"{finding.level} {rest}"
        return by_step

    return look


@pytest.mark.parametrize(
    "step, settings, words",
    [
        ("training", {"instance_type": "ml.p2.xlarge"}, "failed ml.p2.xlarge has the GPU K80"),
        (
            "training",
            {"instance_type": "ml.p3.2xlarge"},
            "ok ml.p3.2xlarge has the GPU V100; CUDA 12",
        ),
        ("training", {"instance_type": "ml.g99.xlarge"}, "ok ml.g99.xlarge has a GPU that this"),
        ("training", {"instance_type": "ml.p6e-gb200.36xlarge"}, "failed image 'train' is for"),
        (
            "endpoint",
            {"instance_type": "ml.g5.xlarge", "image": "serve-gpu"},
            "ok ml.g5.xlarge has the GPU A10G with al2-ami-sagemaker-inference-gpu-3-1 for CUDA 12",
        ),
        (
            "endpoint",
            {"instance_type": "ml.g5.xlarge"},
            "failed image 'serve' on ml.g5.xlarge: its",
        ),
        (
            "endpoint",
            {"instance_type": "ml.c6i.xlarge", "image": "serve-gpu"},
            "failed image 'serve-gpu' on ml.c6i.xlarge: this type has no GPU",
        ),
        (
            "endpoint",
            {"instance_type": "ml.p3.2xlarge", "image": "serve-gpu", "cuda": 13},
            "failed ml.p3.2xlarge has the GPU V100 with compute capability 7.0, for which CUDA",
        ),
        ("endpoint", {"instance_type": "ml.c7g.xlarge"}, "failed image 'serve' is for linux/amd64"),
        (
            "batch",
            {"instance_type": "ml.g4dn.xlarge", "image": "serve-gpu"},
            "ok ml.g4dn.xlarge has the GPU T4 with al2-ami-sagemaker-batch-gpu-535 for CUDA 12",
        ),
        (
            "batch",
            {"instance_type": "ml.g4dn.xlarge", "image": "serve-gpu", "cuda": 13},
            "failed sagemaker.batch.instance_type is ml.g4dn.xlarge: SageMaker's GPU hosts for",
        ),
        (
            "batch",
            {"instance_type": "ml.p5.48xlarge", "image": "serve-gpu"},
            "failed sagemaker.batch.instance_type: transform jobs have no ml.p5.48xlarge",
        ),
    ],
)
def test_an_image_fits_its_machine_or_is_refused(found, step, settings, words):
    assert found(**{step: settings})[step].startswith(words)


def test_what_needs_no_gpu_is_not_spoken_of(found):
    settings = {"training": {"instance_type": "ml.m5.large"}, "endpoint": {"kind": "serverless"}}
    assert found(**settings) == {}


@pytest.mark.parametrize(
    "facts, instance_type, words",
    [
        (f"amd64|12.8|{TORCH_12}", "ml.g5.xlarge", "ok"),
        ("amd64|13.0|sm_75 sm_90", "ml.g5.xlarge", "carries CUDA 13.0; set sagemaker.endpoint"),
        ("amd64|12.8|sm_80 sm_90", "ml.g4dn.xlarge", "has no kernels (it has 8.0, 9.0); take"),
        ("arm64||", "ml.g5.xlarge", "is for linux/arm64, and ml.g5.xlarge is linux/amd64"),
    ],
)
def test_what_was_noted_of_the_pushed_image_counts(found, facts, instance_type, words):
    endpoint = {"instance_type": instance_type, "image": "serve-gpu"}
    assert words in found({"serve-gpu": facts}, endpoint=endpoint)["endpoint"]


@pytest.mark.parametrize(
    "step, settings, words",
    [
        ("training", {"image": "train-cuda13"}, "CUDA 13 needs driver 580"),
        ("endpoint", {"image": "serve-gpu-cuda13"}, "carries CUDA 13; set sagemaker.endpoint.cuda"),
        (
            "endpoint",
            {"image": "serve-gpu-cuda13", "cuda": 13},
            "with al2023-ami-sagemaker-inference-gpu-4-1 for CUDA 13",
        ),
        (
            "batch",
            {"image": "serve-gpu-cuda13", "cuda": 13},
            "have driver 535 at most, and CUDA 13",
        ),
    ],
)
def test_the_name_of_an_image_says_its_cuda(found, step, settings, words):
    """Of one that was not pushed from here nothing else is known."""
    assert words in found(**{step: {"instance_type": "ml.g5.xlarge", **settings}})[step]


def test_a_variants_push_is_told_with_its_setting():
    assert push_command("serve-gpu-cuda13") == "CUDA=13 ./build_and_push.sh serve-gpu"
    assert push_command("serve-arm64") == "ARCH=arm64 ./build_and_push.sh serve"
    assert push_command("mine") == "./build_and_push.sh mine"


def test_an_arm_image_runs_on_graviton_alone(found):
    facts = {"serve": "arm64|<no value>|<no value>"}
    assert "endpoint" not in found(facts, endpoint={"instance_type": "ml.c8g.xlarge"})
    assert "failed" in found(facts, endpoint={"instance_type": "ml.c6i.xlarge"})["endpoint"]


def test_the_type_chooses_among_the_builds_of_an_image(found):
    facts = {"serve": "amd64||", "serve-arm64": "arm64||"}
    for instance_type in ("ml.c7g.xlarge", "ml.c6i.xlarge"):
        assert "endpoint" not in found(facts, endpoint={"instance_type": instance_type})
    named = {"instance_type": "ml.c6i.xlarge", "image": "serve-arm64"}
    assert found(facts, endpoint=named)["endpoint"] == (
        "failed image 'serve-arm64' is for linux/arm64, and ml.c6i.xlarge is linux/amd64; "
        "take the image 'serve', or a type such as ml.c7g"
    )


def test_a_refusal_names_the_command_that_builds_for_arm(found):
    on_arm = {"instance_type": "ml.c7g.xlarge"}
    words = "run ARCH=arm64 ./build_and_push.sh serve"
    assert found({"serve": "amd64||"}, endpoint=on_arm)["endpoint"].endswith(words)
    assert found({"serve": "amd64||"}, batch=on_arm)["batch"].endswith(words)
    on_gpu = {"instance_type": "ml.c7g.xlarge", "image": "serve-gpu"}
    assert found(endpoint=on_gpu)["endpoint"].endswith("take a type for linux/amd64")
    # of an image from elsewhere nothing is known
    assert "endpoint" not in found(endpoint=on_arm, image_uris={"serve": URI.format("serve")})


def test_deploy_and_batch_take_the_build_for_the_type(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_IMAGES", str(tmp_path / "images.json"))
    context = ScriptedAws(recipe(), tmp_path).context
    context.target.images.clear()
    context.target.images["serve"] = "amd"
    assert fitting_image(context, "serve", "ml.c6i.xlarge") == "serve"
    assert fitting_image(context, "serve", "") == "serve"
    with pytest.raises(LaunchError, match="run ARCH=arm64 ./build_and_push.sh serve"):
        fitting_image(context, "serve", "ml.c7g.xlarge")
    context.target.images["serve-arm64"] = "arm"
    assert fitting_image(context, "serve", "ml.c7g.xlarge") == "serve-arm64"
    with pytest.raises(LaunchError, match="take the image 'serve', or a type such as ml.c7g"):
        fitting_image(context, "serve-arm64", "ml.c6i.xlarge")
    with pytest.raises(LaunchError, match="run ARCH=arm64 ./build_and_push.sh serve-mms, or set"):
        context.target.image("serve-mms-arm64")


@pytest.mark.parametrize("size, words", [("xlarge", ""), ("12xlarge", "g5.12xlarge has 4 GPUs")])
def test_gpus_that_no_server_uses_are_warned_of(size, words):
    use = Use("endpoint", "serve-gpu", f"ml.g5.{size}", 12)
    warned = [one.text for one in findings_of(use, ImageFacts()) if one.level == WARNING]
    assert words in "".join(warned)
    assert len(warned) == bool(words)


def test_multi_model_on_gpus_is_warned_of(tmp_path):
    def look(instance_type: str) -> int:
        settings = {"kind": "multi-model", "instance_type": instance_type}
        return len(list(multi_model(ScriptedAws(recipe(endpoint=settings), tmp_path).context)))

    assert look("ml.g5.xlarge") == 1
    assert look("ml.c6i.xlarge") == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_host_image_that_knows_its_gpu_or_is_refused(family):
    instance_type = f"ml.{family}.xlarge"
    one = family_of(instance_type)
    assert one is not None
    assert is_gpu(instance_type)
    if family == "p2":
        with pytest.raises(LaunchError, match="3.7"):
            endpoint_image(12, instance_type)
        return
    assert ENDPOINT_IMAGES[endpoint_image(12, instance_type)] >= max(525, one.oldest_driver)
    if one.batch:
        assert BATCH_IMAGES[batch_image(12, instance_type)] >= max(525, one.oldest_driver)


@pytest.mark.parametrize(
    "instance_type, name",
    [
        ("ml.c7g.xlarge", "arm64"),
        ("ml.r6gd.large", "arm64"),
        ("ml.p6e-gb200.36xlarge", "arm64"),
        ("ml.g4dn.xlarge", "amd64"),
        ("ml.c6i.xlarge", "amd64"),
        ("ml.g6e.xlarge", "amd64"),
    ],
)
def test_the_architecture_of_a_type(instance_type, name):
    assert architecture(instance_type) == name


@pytest.mark.parametrize(
    "kernels, fits",
    # L4 has 8.9: kernels of its major version and of its minor one or an earlier one run there
    [(("8.9",), True), (("8.6",), True), (("9.0",), False), (("7.5",), False), ((), False)],
)
def test_kernels_run_within_a_major_version(kernels, fits):
    assert (kernel_problem("ml.g6.xlarge", kernels, "it") is None) is fits


def test_a_transform_job_on_gpus_names_its_host_image():
    def resources(**batch: object) -> dict:
        made = transform_job(recipe(batch=batch), target().location, "a", "m", "s3://b/")
        return made["TransformResources"]

    on_gpu = resources(instance_type="ml.g5.xlarge", image="serve-gpu")
    assert on_gpu["TransformAmiVersion"] == "al2-ami-sagemaker-batch-gpu-535"
    assert "TransformAmiVersion" not in resources()


def test_facts_are_kept_by_uri(tmp_path):
    images = tmp_path / "out" / "images.json"
    assert noted(images, "train", "a") == ImageFacts()
    note(images, "a", facts_in(f"amd64|12.8|{TORCH_12}\n"))
    note(images, "b", facts_in("arm64|<no value>|<no value>"))
    assert noted(images, "train", "a").gpus == ("7.0", "7.5", "8.0", "8.6", "9.0", "10.0", "12.0")
    assert noted(images, "serve", "b") == ImageFacts("arm64")
    (tmp_path / "out" / "image-facts.json").write_text(json.dumps([]))
    assert noted(images, "train", "a") == ImageFacts()
