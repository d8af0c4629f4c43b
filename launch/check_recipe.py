"""Looks of `launch check` at the recipe itself: its requests, GPUs, cost, Debugger."""

import re
from collections.abc import Iterator

from launch.context import LaunchContext, validate
from launch.cost import check_budget, most, prices_of, tuning_jobs
from launch.errors import LaunchError, message_of
from launch.findings import BAD, GOOD, WARNING, Finding
from launch.recipe import searches
from launch.requests_batch import transform_job
from launch.requests_debug import rule_image
from launch.requests_hosting import endpoint_config
from launch.requests_training import Call, is_gpu, training_job
from launch.search_checks import check_searches, earlier


def requests(context: LaunchContext) -> Iterator[Finding]:
    """The requests are valid, by botocore's model and our own rules."""
    recipe = context.recipe
    location = context.location
    # "check" stands for every name: the requests are never sent.
    training = training_job(recipe, context.target, "check")
    hosting = endpoint_config(recipe, location, "check", "check")
    batch = transform_job(recipe, location, "check", "check", "s3://check/")
    validate(Call("sagemaker", "CreateTrainingJob", training))
    validate(Call("sagemaker", "CreateEndpointConfig", hosting))
    validate(Call("sagemaker", "CreateTransformJob", batch))
    yield Finding(GOOD, "the recipe makes valid requests")
    settings = recipe.sagemaker
    # With network isolation the container has no network at all.
    wants_imagenet = recipe.hyperparameters.get("weights") == "imagenet"
    if settings.network_isolation and wants_imagenet and "weights" not in settings.channels:
        yield Finding(
            WARNING,
            "network_isolation: ImageNet weights cannot be fetched; "
            "build with WEIGHTS=… or give them as a channel",
        )


def drivers(context: LaunchContext) -> Iterator[Finding]:
    """The images fit the instance types, and these have drivers for the images' CUDA."""
    endpoint = endpoint_driver(context)
    if endpoint:
        yield endpoint
    instance_type = context.recipe.sagemaker.training.instance_type
    if not is_gpu(instance_type):
        return
    # P2 has Kepler and P3 has Volta GPUs.
    if re.match(r"ml\.p[23]", instance_type):
        yield Finding(
            BAD,
            f"training: {instance_type} has a GPU that CUDA 13 no longer supports; "
            "take ml.g4dn, ml.g5, ml.g6, ml.p4d or later",
        )
    else:
        yield Finding(
            GOOD,
            f"training: {instance_type}; the image trains on the processor and says so "
            "where the host's driver is older than 580",
        )


def endpoint_driver(context: LaunchContext) -> Finding | None:
    """The finding of the endpoint's instance type; None without a GPU."""
    endpoint = context.recipe.sagemaker.endpoint
    instance_type = endpoint.instance_type
    has_gpu = is_gpu(instance_type)
    wants_gpu = endpoint.image == "serve-gpu"
    on_instances = endpoint.kind != "serverless"
    mismatch = f"the endpoint puts image '{endpoint.image}' on {instance_type}: "
    if on_instances and has_gpu and not wants_gpu:
        return Finding(WARNING, mismatch + "its GPU stays unused; take the image serve-gpu")
    if on_instances and wants_gpu and not has_gpu:
        return Finding(WARNING, mismatch + "this type has no GPU; take the image serve")
    if not has_gpu:
        return None
    if endpoint.kind == "multi-model":
        return Finding(WARNING, "SageMaker documents multi-model endpoints on GPUs only for Triton")
    return Finding(GOOD, f"endpoint: {instance_type} with a driver for CUDA {endpoint.cuda}")


def budget(context: LaunchContext) -> Iterator[Finding]:
    """The most that a training, and all searches, can cost is within the budget."""
    limit = context.recipe.sagemaker.budget_usd
    steps = ["training"]
    if tuning_jobs(context.recipe):
        steps.append("tuning")
    for step in steps:
        check_budget(context.recipe, step, over=False)
        dollars = most(context.recipe, prices_of(context.recipe), step)
        text = f"{step} costs at most {dollars:.2f} USD"
        if limit:
            yield Finding(GOOD, f"{text} of {limit:.2f}")
        else:
            yield Finding(GOOD, f"{text}; no sagemaker.budget_usd is set")


def tuning(context: LaunchContext) -> Iterator[Finding]:
    """SageMaker would take each search of the chain, with its parents."""
    chain = list(searches(context.recipe))
    if not chain:
        return
    check_searches(context, chain, {search.name: earlier(context, search.name) for search in chain})
    yield Finding(GOOD, f"tuning: {', '.join(search.name for search in chain)}")


def debugger(context: LaunchContext) -> Iterator[Finding]:
    """Debugger has rules in this region. It has none in some, and takes no new accounts."""
    try:
        rule_image(context.location)
    except LaunchError as error:
        yield Finding(WARNING, message_of(error))
        return
    yield Finding(
        GOOD,
        "Debugger has rules in this region; AWS takes no new customers for it since 2026-07-30 "
        "(`launch debug` then uses our own)",
    )
