"""The profiler rules by name, in other words than SageMaker's, and their parameters from text."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diagnose import profiler_balance as balance
from diagnose import profiler_bottlenecks as bottlenecks
from diagnose import profiler_framework as framework
from diagnose import profiler_gpu as gpu
from diagnose import profiler_steps as steps
from diagnose import profiler_usage as usage
from diagnose.defaults import DEFAULTS, documented
from diagnose.findings import HINT, WARNING
from diagnose.profiler_data import Profile, ProfileError
from diagnose.profiler_result import Result
from recipes.suggestion import unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# SageMaker's documented defaults of the parameters whose defaults here are others, by rule
SAGEMAKER: dict[str, dict[str, object]] = {"Dataloader": {"least_wait": 0, "most_wait": 100}}
AT_LEAST_1 = ("_window", "_scan_interval_us")  # ends of parameters' names


@dataclass(frozen=True)
class Rule:
    """A rule: its function, its parameters' defaults, its purpose, a cure, how grave it is."""

    evaluate: Callable[[Profile, Any], Result]  # each takes parameters of its own class
    defaults: "DataclassInstance"
    description: str
    advice: str
    severity: str = HINT


RULES: dict[str, Rule] = {
    "BatchSize": Rule(
        gpu.batch_size,
        gpu.BatchSize(),
        "CPU, GPU and GPU memory are all used little: the batch may be too small for the machine.",
        "Raise batch_size (and lr with it), or take a smaller instance: "
        "it would do the same work for less.",
    ),
    "CPUBottleneck": Rule(
        bottlenecks.cpu_bottleneck,
        bottlenecks.CPUBottleneck(),
        "A GPU idles while a processor core is busy: work on the CPU holds it up.",
        "Take an instance with more cores for each GPU, let fewer augmentations run on the CPU, "
        "or keep decoded photos in memory.",
    ),
    "Dataloader": Rule(
        framework.dataloader,
        framework.Dataloader(),
        "How many data loaders work at once, against the number of cores.",
        "Keep decoded or smaller photos, let fewer augmentations run, take an instance with more "
        "cores. Too few loaders: let as many load as there are cores. Too many: they take the "
        "cores from each other.",
    ),
    "GPUMemoryIncrease": Rule(
        gpu.gpu_memory_increase,
        gpu.GPUMemoryIncrease(),
        "The memory used on a GPU rises while training goes on.",
        "Something keeps tensors alive, such as losses added up with their graph (.detach() them); "
        "else plan for more GPU memory.",
        WARNING,
    ),
    "IOBottleneck": Rule(
        bottlenecks.io_bottleneck,
        bottlenecks.IOBottleneck(),
        "A GPU idles while the processor waits for disk or network.",
        "Keep the photos on a local disk or in memory, store them smaller, or in few large files; "
        "on SageMaker try FastFile or FSx.",
    ),
    "LoadBalancing": Rule(
        balance.load_balancing,
        balance.LoadBalancing(),
        "GPUs of one node do unequal amounts of work.",
        "Give each GPU a process of its own with an equal share of the batch "
        "(DistributedDataParallel, not DataParallel).",
    ),
    "LowGPUUtilization": Rule(
        gpu.low_gpu_utilization,
        gpu.LowGPUUtilization(),
        "A GPU is used little, or its use goes up and down.",
        "Look at waiting for data first; then raise batch_size, use bfloat16, "
        "or take a smaller GPU instance.",
    ),
    "MaxInitializationTime": Rule(
        steps.max_initialization_time,
        steps.MaxInitializationTime(),
        "How long it takes until the first step.",
        "Read photos as they are needed (input mode FastFile) and not before; "
        "bake weights into the image; see what is done first.",
    ),
    "OverallFrameworkMetrics": Rule(
        framework.overall_framework_metrics,
        framework.OverallFrameworkMetrics(),
        "Where the training's time went. This rule only collects.",
        "",
    ),
    "OverallSystemUsage": Rule(
        usage.overall_system_usage,
        usage.OverallSystemUsage(),
        "How much of the machine was used. This rule only collects.",
        "",
    ),
    "StepOutlier": Rule(
        steps.step_outlier,
        steps.StepOutlier(),
        "Some steps last far longer than others.",
        "See which part is longer in them: data means disk or network, "
        "all parts mean another process on the machine.",
    ),
}


def parameters_of(texts: Mapping[str, object]) -> dict[str, "DataclassInstance"]:
    """Each rule's parameters, by rule: the defaults, changed by texts.

    These have ProfilerReport's own syntax: {"CPUBottleneck_cpu_threshold": "80"}; a rule's
    `defaults` may be `sagemaker`. ProfileError for
    a rule or a parameter that is unknown, or a value that does not parse.
    """
    changes: dict[str, dict[str, object]] = {name: {} for name in RULES}
    # "defaults" first: what is given by its own name comes before it
    for key, text in sorted(texts.items(), key=lambda entry: not entry[0].endswith("_defaults")):
        rule, _, parameter = str(key).partition("_")
        if rule not in RULES:
            raise ProfileError(
                f"'{key}' names no profiler rule; it must be <rule>_<parameter>, "
                f"with one of the rules {', '.join(RULES)}"
            )
        if parameter == DEFAULTS:
            changes[rule] |= documented(str(text), SAGEMAKER.get(rule, {}))
            continue
        known = {entry.name: entry.type for entry in dataclasses.fields(RULES[rule].defaults)}
        if parameter not in known:
            raise ProfileError(
                f"rule {rule} has no parameter '{parameter}'; it has {', '.join(known)}"
            )
        changes[rule][parameter] = _value(key, text, known[parameter])
    return {
        name: dataclasses.replace(rule.defaults, **changes[name]) for name, rule in RULES.items()
    }


def _value(key: str, text: object, kind: object) -> str | int | float:
    if kind is str:
        return str(text)
    number = _number(text)
    allowed = 0 <= number < math.inf
    if kind is int and not (allowed and number.is_integer()):
        raise ProfileError(f"{key} must be a whole number of at least 0; found '{text}'")
    if not allowed:
        raise ProfileError(f"{key} must be a number of at least 0; found '{text}'")
    if number < 1 and key.endswith(AT_LEAST_1):
        raise ProfileError(f"{key} must be at least 1; found '{text}'")
    if kind is int:
        return int(number)
    return number


def _number(text: object) -> float:
    """NaN for a text that is not a number."""
    try:
        return float(text)  # type: ignore[arg-type]  # other types raise TypeError
    except (TypeError, ValueError):
        return math.nan


def evaluate_rules(
    profile: Profile, parameters: Mapping[str, object] | None = None, rules: Iterable[str] = ()
) -> list[Result]:
    """The answers of the named rules, of all where none is, in the registry's order.

    parameters: as for parameters_of. ProfileError for an unknown name or a bad value.
    """
    by_rule = parameters_of(parameters or {})
    wanted = list(rules) or list(RULES)
    for name in wanted:
        if name not in RULES:
            raise ProfileError(unknown("profiler rule", name, RULES))
    results = []
    for name, rule in RULES.items():
        if name in wanted:
            results.append(rule.evaluate(profile, by_rule[name]))
    return results
