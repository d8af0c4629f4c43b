"""Training jobs: the commands train and debug; starting, finding and finishing jobs of any kind."""

from dataclasses import replace

from launch.aws import Request, Response
from launch.context import LaunchContext
from launch.cost import check_budget
from launch.errors import LaunchError, is_missing, may_have_arrived, message_of
from launch.follow import ENDED, describe, follow, status_of
from launch.making import make
from launch.recipe import Recipe, check_hyperparameters, with_hyperparameters
from launch.requests_debug import debug_job, own_debug_job
from launch.requests_training import dated, model_data, training_job
from launch.state import Entry

# Exit codes.
FINE = 0
FAILED = 1
# Words of AWS's refusals of Debugger, in small letters.
DEBUGGER_WORDS = (
    "debugger",
    "debughook",
    "debug hook",
    "debugrule",
    "debug rule",
    "profiler",
)


def train(context: LaunchContext) -> int:
    """Start a training and follow it. If one still runs, follow that one instead."""
    running = unfinished(context, "training")
    if running:
        context.print(f"train: {running.name} still runs; following it (--again starts another)")
        return finish(context, "training", running.name)
    check_budget(context.recipe, "training", context.options.over_budget)
    # SageMaker never frees a job's name, so each one has its own letters.
    recipe = with_given_hyperparameters(context)
    name = dated(context.recipe.name, context.stamp)
    if context.options.best:
        _, best = best_trial(context)
        recipe = replace(recipe, hyperparameters={**recipe.hyperparameters, **best})
        # The search may have been started from another recipe.
        check_hyperparameters(recipe)
    request = training_job(recipe, context.target, name, context.options.checkpoints)
    start_training(context, name, request)
    if context.dry:
        return FINE
    return finish(context, "training", name)


def with_given_hyperparameters(context: LaunchContext) -> Recipe:
    """The recipe; with --hyperparameters, that file's ones replace its own."""
    file = context.options.hyperparameters
    if not file:
        return context.recipe
    return with_hyperparameters(context.recipe, file)


def best_trial(context: LaunchContext) -> tuple[str, dict[str, str]]:
    """The best training of the latest search: its name and its hyperparameters.

    These are the search's chosen and constant ones. LaunchError without a search or a result.
    """
    entry = context.state.latest("tuning")
    if entry is None:
        raise LaunchError(
            f"no search was started here for {context.recipe.name}, so the best trial is unknown; "
            "run `launch tune` first"
        )
    answer = describe(context, "tuning", entry.name)
    # The overall best is there only after a warm start: then a parent's trial may be better.
    best = answer.get("OverallBestTrainingJob") or answer.get("BestTrainingJob")
    if best:
        context.print(f"best of {entry.name}: {best['TrainingJobName']}")
        constant = answer["TrainingJobDefinition"].get("StaticHyperParameters", {})
        return best["TrainingJobName"], {**constant, **best["TunedHyperParameters"]}
    if context.dry:
        return f"best-of-{entry.name}", {}
    raise LaunchError(f"the search {entry.name} has no trial with an objective yet")


def debug(context: LaunchContext) -> int:
    """Start a training that SageMaker Debugger watches, and follow it.

    With --own, or where AWS refuses Debugger, the training watches itself.
    """
    check_budget(context.recipe, "training", context.options.over_budget)
    name = dated(f"{context.recipe.name}-debug", context.stamp)
    recipe = with_given_hyperparameters(context)
    own = own_debug_job(recipe, context.target, name)
    if context.options.own:
        start_training(context, name, own)
    else:
        start_debug(context, name, recipe, own)
    if context.dry:
        return FINE
    return finish(context, "training", name)


def start_debug(context: LaunchContext, name: str, recipe: Recipe, own: Request) -> None:
    """Start a training with Debugger; the request `own` where AWS refuses that."""
    try:
        request = debug_job(recipe, context.target, name)
        start(context, "training", name, "CreateTrainingJob", request)
    except Exception as error:
        if not refuses_debugger(error):
            raise
        context.print(
            f"debug: AWS refuses Debugger for this account ({message_of(error)}); "
            "the training watches itself instead, "
            "and `launch report` runs `python -m diagnose` on what it saved"
        )
        start_training(context, name, own)


def start_training(context: LaunchContext, name: str, request: Request) -> None:
    """Start a training with the profiler switched off.

    An account without Debugger may refuse even that field, so a second try leaves it out.
    """
    try:
        start(context, "training", name, "CreateTrainingJob", request)
    except Exception as error:
        if not refuses_debugger(error):
            raise
        without = {key: value for key, value in request.items() if key != "ProfilerConfig"}
        start(context, "training", name, "CreateTrainingJob", without)


def refuses_debugger(error: Exception) -> bool:
    """Whether the error is about Debugger: AWS refuses it to new accounts since 2026-07-30."""
    words = message_of(error).lower()
    if isinstance(error, LaunchError):
        return "debugger has no rules" in words
    is_answer = hasattr(error, "response")
    return is_answer and any(word in words for word in DEBUGGER_WORDS)


def start(
    context: LaunchContext, kind: str, name: str, operation: str, request: Request, **facts: object
) -> None:
    """Note a job and ask for it; a job that AWS refuses is forgotten."""
    context.note(kind, name, **facts)
    try:
        make(context, operation, request)
    except Exception as error:
        if context.dry:
            raise
        if may_have_arrived(error):
            context.print(
                f"{name} may have been started all the same: "
                f"`launch status {context.recipe.path}` shows it, `launch stop` ends it"
            )
        else:
            context.state.remove(kind, name)
        raise
    if not context.dry:
        context.print(f"started: {kind} job {name}")


def finish(context: LaunchContext, kind: str, name: str) -> int:
    """Follow a job to its end; FINE when it completed."""
    if context.options.no_wait:
        context.print(
            f"the job continues: `python -m launch status {context.recipe.path}` and `logs` show it"
        )
        return FINE
    answer = follow(context, kind, name, getattr(context.options, "metrics", False))
    status = status_of(kind, answer)
    if kind == "training" and status != "Failed":
        artifacts = answer.get("ModelArtifacts", {})
        model = artifacts.get("S3ModelArtifacts") or model_data(
            context.recipe, context.location, name
        )
        context.print(f"model: {model}")
    return exit_code(status)


def exit_code(status: str) -> int:
    """The command's exit code after a job's last status."""
    if status == "Completed":
        return FINE
    return FAILED


def unfinished(context: LaunchContext, kind: str) -> Entry | None:
    """The latest job of a kind if it still runs; None with --again, which wants another one."""
    if context.dry or context.options.again:
        return None
    entry = context.state.latest(kind)
    if entry is None:
        return None
    answer = describe_or_none(context, kind, entry.name)
    if answer is None or status_of(kind, answer) in ENDED:
        return None
    return entry


def describe_or_none(context: LaunchContext, kind: str, name: str) -> Response | None:
    """The answer of Describe…; None for an unknown job."""
    try:
        return describe(context, kind, name)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def endpoint_or_none(context: LaunchContext, name: str) -> Response | None:
    """The answer of DescribeEndpoint; None where there is no such endpoint."""
    try:
        return context.ask("sagemaker", "DescribeEndpoint", EndpointName=name)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def chosen(context: LaunchContext, *kinds: str) -> Entry:
    """The job of --job, else the latest that was started.

    LaunchError where there is none. A dry run names the job that would be the next.
    """
    name = context.options.job
    entries = [entry for entry in context.state.all(*kinds) if not name or entry.name == name]
    if entries:
        return entries[-1]
    if name or context.dry:
        return Entry(kinds[0], name or dated(context.recipe.name, context.stamp), context.now())
    raise LaunchError(
        f"no {' or '.join(kinds)} job was started here for {context.recipe.name}; "
        "name one with --job"
    )
