"""SageMaker Debugger's part of a training request, and ours where an account has no Debugger.

AWS takes no new customers for Debugger since 2026-07-30. Our own rules run inside the training:
hyperparameters `debug` and `profile`.
"""

import re
from pathlib import Path

import yaml

from launch.aws import AwsLocation, Request
from launch.errors import LaunchError
from launch.recipe import Recipe
from launch.requests_training import Target, s3, training_job

ACCOUNTS = Path(__file__).with_name("rule_images.yaml")
BUILT_IN = (
    "VanishingGradient",
    "ExplodingTensor",
    "PoorWeightInitialization",
    "SaturatedActivation",
    "DeadRelu",
    "WeightUpdateRatio",
    "UnchangedTensor",
    "AllZero",
    "TensorVariance",
    "LossNotDecreasing",
    "Overfit",
    "Overtraining",
    "ClassImbalance",
    "Confusion",
    "SimilarAcrossRuns",
    "CheckInputImages",
    "StalledTrainingRule",
)
# Parameters without which SageMaker refuses to start a rule.
NEEDED = {
    "LossNotDecreasing": {"use_losses_collection": "True"},
    "ExplodingTensor": {"collection_names": "gradients"},
    "AllZero": {"collection_names": "weights"},
    "UnchangedTensor": {"collection_names": "weights"},
    "TensorVariance": {"collection_names": "weights"},
}
# Where the training writes its profile; Debugger's agent brings that to S3.
PROFILE = "/opt/ml/output/profiler"
# Debugger's own list for the intervals of system metrics.
INTERVALS_MS = (100, 200, 500, 1000, 5000, 60000)


def debug_job(recipe: Recipe, target: Target, name: str) -> Request:
    """CreateTrainingJob with Debugger's hook, rules and profiler.

    LaunchError where the region has no rules.
    """
    settings = recipe.sagemaker.debugger
    if settings.profile_interval_ms not in INTERVALS_MS:
        raise LaunchError(
            f"sagemaker.debugger.profile_interval_ms is {settings.profile_interval_ms}; "
            f"expected {', '.join(map(str, INTERVALS_MS))}"
        )
    image = rule_image(target.location)
    output = s3(recipe, target.location, "output")
    request = training_job(recipe, target, name)
    request["DebugHookConfig"] = hook(recipe, output)
    request["DebugRuleConfigurations"] = [
        {"RuleConfigurationName": rule, "RuleEvaluatorImage": image, "RuleParameters": parameters}
        for rule, parameters in rules(recipe).items()
    ]
    if settings.profile:
        request["ProfilerConfig"] = {
            "S3OutputPath": output,
            "ProfilingIntervalInMilliseconds": settings.profile_interval_ms,
            # Without parameters the training itself measures nothing.
            "ProfilingParameters": {"LocalPath": PROFILE},
        }
        request["ProfilerRuleConfigurations"] = [
            {
                "RuleConfigurationName": "ProfilerReport",
                "RuleEvaluatorImage": image,
                "RuleParameters": {"rule_to_invoke": "ProfilerReport", "opt_out_telemetry": "True"},
            }
        ]
    return request


def hook(recipe: Recipe, output: str) -> Request:
    """DebugHookConfig: which collections are saved to S3, every how many steps."""
    settings = recipe.sagemaker.debugger
    intervals = {
        "train.save_interval": str(settings.train_interval),
        "eval.save_interval": str(settings.eval_interval),
    }
    collections = [
        {"CollectionName": collection, "CollectionParameters": intervals}
        for collection in settings.collections
    ]
    return {"S3OutputPath": output, "CollectionConfigurations": collections}


def own_debug_job(recipe: Recipe, target: Target, name: str) -> Request:
    """CreateTrainingJob in which the image itself saves, profiles and judges.

    All its results come back in output.tar.gz.
    """
    settings = recipe.sagemaker.debugger
    request = training_job(recipe, target, name)
    # The training always saves its losses.
    collections = [one for one in settings.collections if one != "losses"]
    request["HyperParameters"] = {
        **request["HyperParameters"],
        "debug": "true",
        "profile": str(settings.profile).lower(),
        "debug_collections": ",".join(collections),
        "debug_train_interval": str(settings.train_interval),
        "debug_eval_interval": str(settings.eval_interval),
    }
    return request


def rules(recipe: Recipe) -> dict[str, dict[str, str]]:
    """RuleParameters by rule, from the recipe. LaunchError for a rule that Debugger lacks."""
    found: dict[str, dict[str, str]] = {}
    for text in recipe.sagemaker.debugger.rules:
        name = rule_name(text)
        found[name] = {"rule_to_invoke": name, **NEEDED.get(name, {})}
    for text, value in recipe.sagemaker.debugger.rule_parameters.items():
        rule, _, parameter = text.partition(".")
        name = rule_name(rule)
        if name not in found or not parameter:
            raise LaunchError(
                f"sagemaker.debugger.rule_parameters has '{text}'; "
                f"expected Rule.parameter of one of the rules {', '.join(found)}"
            )
        found[name][parameter] = value
    return found


def rule_name(text: str) -> str:
    """A rule's name in any spelling: vanishing_gradient, VanishingGradient."""
    plain = re.sub(r"[^a-z]", "", text.lower())
    for name in BUILT_IN:
        if plain == name.lower():
            return name
    raise LaunchError(f"'{text}' is not a rule of SageMaker Debugger; it has {', '.join(BUILT_IN)}")


def rule_image(location: AwsLocation) -> str:
    """The image of the built-in rules. LaunchError in regions that have none."""
    account = yaml.safe_load(ACCOUNTS.read_text(encoding="utf-8")).get(location.region)
    if not account:
        raise LaunchError(
            f"SageMaker Debugger has no rules in {location.region}; "
            "run `launch debug` with --own, and `python -m diagnose` on the job's output"
        )
    host = f"{account}.dkr.ecr.{location.region}.{location.dns_suffix}"
    return f"{host}/sagemaker-debugger-rules:latest"
