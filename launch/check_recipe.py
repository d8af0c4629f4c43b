"""Looks of `launch check` at the recipe itself: its requests, cost, searches, Debugger."""

from collections.abc import Iterator

from launch.context import LaunchContext, validate
from launch.cost import check_budget, most, prices_of, tuning_jobs
from launch.errors import LaunchError, message_of
from launch.findings import GOOD, WARNING, Finding
from launch.recipe import searches
from launch.requests_batch import transform_job
from launch.requests_debug import rule_image
from launch.requests_hosting import endpoint_config
from launch.requests_training import Call, training_job
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
