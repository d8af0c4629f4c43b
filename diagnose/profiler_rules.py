"""The profiler rules by name, with what SageMaker says of them in other words, and how their parameters are given."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from diagnose import profiler_framework as framework
from diagnose import profiler_system as system
from diagnose.profiler_data import Profile, ProfileError
from diagnose.profiler_result import Result


@dataclass(frozen=True)
class Rule:
    """A rule: what decides, its parameters' defaults, what it looks for, and what to do when it fires."""

    evaluate: Callable[[Profile, object], Result]
    defaults: object
    description: str
    advice: str


RULES: dict[str, Rule] = {
    "BatchSize": Rule(
        system.batch_size,
        system.BatchSize(),
        "CPU, GPU and GPU memory are all used little: the batch may be too small for the machine.",
        "Raise batch_size (and lr with it), or take a smaller instance: it would do the same work for less.",
    ),
    "CPUBottleneck": Rule(
        system.cpu_bottleneck,
        system.CPUBottleneck(),
        "A GPU idles while a processor core is busy: work on the CPU holds it up.",
        "Take an instance with more cores for each GPU, let fewer augmentations run on the CPU, or keep decoded photos in memory.",
    ),
    "Dataloader": Rule(
        framework.dataloader,
        framework.Dataloader(),
        "How many data loaders work at once, against the number of cores.",
        "Too few: let as many load as there are cores. Too many: they take the cores from each other. Where the steps hardly wait for data, "
        "nothing is to be gained.",
    ),
    "GPUMemoryIncrease": Rule(
        system.gpu_memory_increase,
        system.GPUMemoryIncrease(),
        "The memory used on a GPU rises while training goes on.",
        "Something keeps tensors alive, such as losses added up with their graph (.detach() them); else plan for more GPU memory.",
    ),
    "IOBottleneck": Rule(
        system.io_bottleneck,
        system.IOBottleneck(),
        "A GPU idles while the processor waits for disk or network.",
        "Keep the photos on a local disk or in memory, store them smaller, or in few large files; on SageMaker try FastFile or FSx.",
    ),
    "LoadBalancing": Rule(
        system.load_balancing,
        system.LoadBalancing(),
        "GPUs of one node do unequal amounts of work.",
        "Give each GPU a process of its own with an equal share of the batch (DistributedDataParallel, not DataParallel).",
    ),
    "LowGPUUtilization": Rule(
        system.low_gpu_utilization,
        system.LowGPUUtilization(),
        "A GPU is used little, or its use goes up and down.",
        "Look at waiting for data first; then raise batch_size, use bfloat16, or take a smaller GPU instance.",
    ),
    "MaxInitializationTime": Rule(
        framework.max_initialization_time,
        framework.MaxInitializationTime(),
        "It takes long until the first step.",
        "Read photos as they are needed (input mode FastFile) and not before; bake weights into the image; see what is done first.",
    ),
    "OverallFrameworkMetrics": Rule(
        framework.overall_framework_metrics,
        framework.OverallFrameworkMetrics(),
        "Where the training's time went. This rule only collects.",
        "",
    ),
    "OverallSystemUsage": Rule(
        system.overall_system_usage,
        system.OverallSystemUsage(),
        "How much of the machine was used. This rule only collects.",
        "",
    ),
    "StepOutlier": Rule(
        framework.step_outlier,
        framework.StepOutlier(),
        "Some steps last far longer than others.",
        "See which part is longer in them: data means disk or network, all parts mean another process on the machine.",
    ),
}


def parameters_of(texts: Mapping[str, object]) -> dict[str, object]:
    """Each rule's parameters, changed by texts such as {"CPUBottleneck_cpu_threshold": "80"}, ProfilerReport's own syntax.

    ProfileError for a rule or a parameter that is unknown, or a value that does not parse.
    """
    changes: dict[str, dict[str, object]] = {name: {} for name in RULES}
    for key, text in texts.items():
        rule, _, parameter = str(key).partition("_")
        if rule not in RULES:
            raise ProfileError(
                f"'{key}' names no profiler rule; it must be <rule>_<parameter>, with one of the rules {', '.join(RULES)}"
            )
        known = {entry.name: entry.type for entry in dataclasses.fields(RULES[rule].defaults)}
        if parameter not in known:
            raise ProfileError(
                f"rule {rule} has no parameter '{parameter}'; it has {', '.join(known)}"
            )
        changes[rule][parameter] = _value(key, text, known[parameter])
    return {
        name: dataclasses.replace(rule.defaults, **changes[name]) for name, rule in RULES.items()
    }


def _value(key: str, text: object, kind: type) -> object:
    if kind is str:
        return str(text)
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number < float("inf") or (kind is int and number != int(number)):
        raise ProfileError(
            f"{key} must be a {'whole ' if kind is int else ''}number of at least 0; found '{text}'"
        )
    if number < 1 and key.endswith(("_window", "_scan_interval_us")):
        raise ProfileError(f"{key} must be at least 1; found '{text}'")
    return kind(number)


def evaluate_rules(
    profile: Profile, parameters: Mapping[str, object] | None = None, rules: Iterable[str] = ()
) -> list[Result]:
    """The answers of the rules named, of all where none is, in the registry's order.

    parameters: as for parameters_of. ProfileError for an unknown name or a bad value.
    """
    settings = parameters_of(parameters or {})
    wanted = list(rules) or list(RULES)
    for name in wanted:
        if name not in RULES:
            raise ProfileError(f"there is no profiler rule '{name}'; there are {', '.join(RULES)}")
    return [
        rule.evaluate(profile, settings[name]) for name, rule in RULES.items() if name in wanted
    ]
