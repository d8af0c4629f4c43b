"""Commands about trainings: upload, train, debug, status, logs, stop."""

from dataclasses import replace

from launch.context import LaunchContext
from launch.cost import check_budget
from launch.errors import LaunchError, code_of, is_missing, message_of
from launch.follow import (
    DESCRIBE,
    ENDED,
    GROUPS,
    Metrics,
    Tail,
    describe,
    follow,
    print_lines,
    status_of,
    steps,
)
from launch.recipe import Recipe, check_hyperparameters, located, with_hyperparameters
from launch.requests_debug import debug_job, own_debug_job
from launch.requests_training import Call, bucket, dated, model_data, prefix, training_job
from launch.stacks import stack_words
from launch.state import Entry
from launch.upload import Channel, files_of, upload

FINE, FAILED = 0, 1
STOP = {
    "training": "StopTrainingJob",
    "tuning": "StopHyperParameterTuningJob",
    "transform": "StopTransformJob",
}


def upload_channels(context: LaunchContext) -> int:
    """Bring the recipe's folders to S3; a dry run shows a PutObject a file."""
    recipe = context.recipe
    folders = {
        name: given
        for name, given in recipe.settings.channels.items()
        if not given.startswith("s3://")
    }
    if not folders:
        context.print("upload: all channels are in S3 already")
    for name, folder in ((name, located(given)) for name, given in folders.items()):
        key = f"{prefix(recipe)}/data/{name}/"
        if context.dry:
            channel = Channel(None, bucket(recipe, context.location), key, recipe.settings.kms_key)
            for file in files_of(folder) if folder.is_dir() else []:
                context.ask("s3", "PutObject", **channel.put_request(file), Body=str(file.path))
            if not folder.is_dir():
                context.print(
                    f"dry run: there is no folder '{folder}' yet, so no file of channel {name} is shown"
                )
            continue
        plan = upload(
            Channel(
                context.client("s3"), bucket(recipe, context.location), key, recipe.settings.kms_key
            ),
            files_of(folder),
            context.print,
            name,
        )
        context.print(
            f"upload: {name}: s3://{bucket(recipe, context.location)}/{key} has {len(plan.put) + len(plan.same)} files"
        )
    return FINE


def train(context: LaunchContext) -> int:
    """Start a training and follow it; one that still runs is followed in its place."""
    running = unfinished(context, "training")
    if running:
        context.print(f"train: {running.name} still runs; following it (--again starts another)")
        return finish(context, "training", running.name)
    check_budget(context.recipe, "training", context.options.over_budget)
    recipe, name = with_given_hyperparameters(context), dated(context.recipe.name, context.stamp)
    if context.options.best:
        recipe = replace(
            recipe, hyperparameters={**recipe.hyperparameters, **best_trial(context)[1]}
        )
        check_hyperparameters(recipe)
    start_training(
        context, name, training_job(recipe, context.target, name, context.options.checkpoints)
    )
    return FINE if context.dry else finish(context, "training", name)


def with_given_hyperparameters(context: LaunchContext) -> Recipe:
    """The recipe, with those of --hyperparameters in place of its own."""
    file = context.options.hyperparameters
    return with_hyperparameters(context.recipe, file) if file else context.recipe


def best_trial(context: LaunchContext) -> tuple[str, dict[str, str]]:
    """The best training of the latest search: its name, and the hyperparameters that the search chose or held. LaunchError without one."""
    entry = context.state.latest("tuning")
    if entry is None:
        raise LaunchError(
            f"no search was started here for {context.recipe.name}, so there is no best trial; run `launch tune` first"
        )
    answer = describe(context, "tuning", entry.name)
    best = answer.get("OverallBestTrainingJob") or answer.get("BestTrainingJob")
    if not best:
        if context.dry:
            return f"best-of-{entry.name}", {}
        raise LaunchError(f"the search {entry.name} has no trial with an objective yet")
    context.print(f"best of {entry.name}: {best['TrainingJobName']}")
    return best["TrainingJobName"], {
        **answer["TrainingJobDefinition"].get("StaticHyperParameters", {}),
        **best["TunedHyperParameters"],
    }


def debug(context: LaunchContext) -> int:
    """A training that SageMaker Debugger watches; one that watches itself with --own, or where AWS refuses Debugger."""
    check_budget(context.recipe, "training", context.options.over_budget)
    name = dated(f"{context.recipe.name}-debug", context.stamp)
    recipe = with_given_hyperparameters(context)
    own = own_debug_job(recipe, context.target, name)
    if context.options.own:
        start_training(context, name, own)
    else:
        try:
            start(
                context,
                "training",
                name,
                "CreateTrainingJob",
                debug_job(recipe, context.target, name),
            )
        except Exception as error:
            if not refuses_debugger(error):
                raise
            context.print(
                f"debug: AWS refuses Debugger for this account ({message_of(error)}); the training watches itself instead, "
                "and `launch report` runs `python -m diagnose` on what it saved"
            )
            start_training(context, name, own)
    return FINE if context.dry else finish(context, "training", name)


def start_training(context: LaunchContext, name: str, request: dict) -> None:
    """Start a training whose profiler is switched off; where AWS refuses even to be told so, without a word of it."""
    try:
        start(context, "training", name, "CreateTrainingJob", request)
    except Exception as error:
        if not refuses_debugger(error):
            raise
        start(
            context,
            "training",
            name,
            "CreateTrainingJob",
            {key: value for key, value in request.items() if key != "ProfilerConfig"},
        )


def refuses_debugger(error: Exception) -> bool:
    """Whether AWS's answer is about Debugger or its profiler: new accounts are refused since 2026-07-30."""
    words = message_of(error).lower()
    return (
        isinstance(error, LaunchError)
        and "debugger has no rules" in words
        or (
            hasattr(error, "response")
            and any(
                word in words
                for word in (
                    "debugger",
                    "debughook",
                    "debug hook",
                    "debugrule",
                    "debug rule",
                    "profiler",
                )
            )
        )
    )


def start(
    context: LaunchContext, kind: str, name: str, operation: str, request: dict, **facts: object
) -> None:
    """Note a job and ask for it; one that AWS refuses is forgotten."""
    context.note(kind, name, **facts)
    try:
        context.send(Call("sagemaker", operation, request))
    except Exception as error:
        if (
            code_of(error) != "ResourceInUse"
        ):  # the name is ours alone: an earlier try arrived, its answer did not
            if not context.dry:
                context.state.remove(kind, name)
            raise
    if not context.dry:
        context.print(f"started: {kind} job {name}")


def finish(context: LaunchContext, kind: str, name: str) -> int:
    """Follow a job to its end; 0 when it completed."""
    if context.options.no_wait:
        context.print(
            f"it goes on by itself: `python -m launch status {context.recipe.path}` and `logs` look at it"
        )
        return FINE
    answer = follow(context, kind, name, getattr(context.options, "metrics", False))
    if kind == "training" and status_of(kind, answer) != "Failed":
        context.print(
            f"model: {answer.get('ModelArtifacts', {}).get('S3ModelArtifacts') or model_data(context.recipe, context.location, name)}"
        )
    return FINE if status_of(kind, answer) == "Completed" else FAILED


def unfinished(context: LaunchContext, kind: str) -> Entry | None:
    """The latest job of a kind, if it still runs and no other is asked for."""
    entry = None if context.dry or context.options.again else context.state.latest(kind)
    if entry is None:
        return None
    answer = describe_or_none(context, kind, entry.name)
    return entry if answer and status_of(kind, answer) not in ENDED else None


def describe_or_none(context: LaunchContext, kind: str, name: str) -> dict | None:
    try:
        return describe(context, kind, name)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def status(context: LaunchContext) -> int:
    """One line for all that this recipe started: jobs, the endpoint, its API."""
    entries = context.state.all(*DESCRIBE, "endpoint", "api")
    if not entries:
        context.print(f"status: nothing was started for {context.recipe.name} here")
    for entry in entries:
        if entry.kind in ("endpoint", "api"):
            context.print(
                f"{entry.kind} {entry.name}: {(endpoint_words if entry.kind == 'endpoint' else stack_words)(context, entry.name)}"
            )
            continue
        answer = describe_or_none(context, entry.kind, entry.name)
        if not context.dry:
            context.print(
                f"{entry.kind} {entry.name}: {steps(entry.kind, answer) if answer else 'not on SageMaker'} (started {entry.started})"
            )
    return FINE


def endpoint_words(context: LaunchContext, name: str) -> str:
    """State, configuration and instances of an endpoint."""
    try:
        answer = context.ask("sagemaker", "DescribeEndpoint", EndpointName=name)
    except Exception as error:
        if is_missing(error):
            return "not on SageMaker"
        raise
    variants = [
        f"{one['VariantName']} {one.get('CurrentInstanceCount', '')} of {one.get('DesiredInstanceCount', '')} instances"
        for one in answer.get("ProductionVariants", [])
        if "CurrentInstanceCount" in one
    ]
    return "; ".join(
        word
        for word in [
            answer.get("EndpointStatus", ""),
            answer.get("EndpointConfigName", ""),
            *variants,
            answer.get("FailureReason", ""),
        ]
        if word
    )


def logs(context: LaunchContext) -> int:
    """Follow the log of the latest job, or of the one named; with --endpoint the endpoint's, until Ctrl-C."""
    if context.options.endpoint:
        return endpoint_logs(context)
    entry = chosen(context, *GROUPS)
    if context.dry:
        context.ask(
            "logs",
            "DescribeLogStreams",
            logGroupName=GROUPS[entry.kind],
            logStreamNamePrefix=f"{entry.name}/",
        )
        return FINE
    answer = follow(context, entry.kind, entry.name, context.options.metrics)
    return FINE if status_of(entry.kind, answer) == "Completed" else FAILED


def endpoint_logs(context: LaunchContext) -> int:
    group = f"/aws/sagemaker/Endpoints/{context.recipe.endpoint_name}"
    if context.dry:
        context.ask("logs", "DescribeLogStreams", logGroupName=group)
        return FINE
    tail, metrics = Tail(context, group, ""), Metrics()
    while print_lines(context, tail, metrics, False) or not context.options.no_wait:
        context.wait()
    return FINE


def chosen(context: LaunchContext, *kinds: str) -> Entry:
    """The job named by --job, else the latest that was started. LaunchError where there is none; a dry run names the one that would be next."""
    name = context.options.job
    entries = [entry for entry in context.state.all(*kinds) if not name or entry.name == name]
    if entries:
        return entries[-1]
    if name or context.dry:
        return Entry(kinds[0], name or dated(context.recipe.name, context.stamp), context.now())
    raise LaunchError(
        f"no {' or '.join(kinds)} job was started here for {context.recipe.name}; name one with --job"
    )


def stop(context: LaunchContext) -> int:
    """Stop what still runs, or the job named; a training keeps its best model so far."""
    entries = (
        [chosen(context, *STOP)] if context.options.job or context.dry else context.state.all(*STOP)
    )
    stopped = 0
    for entry in entries:
        answer = {} if context.dry else describe_or_none(context, entry.kind, entry.name)
        if answer is None or status_of(entry.kind, answer) in ENDED:
            continue
        context.ask("sagemaker", STOP[entry.kind], **{DESCRIBE[entry.kind][1]: entry.name})
        stopped += 1
        if not context.dry:
            context.print(
                f"stop: {entry.name} was told to stop; a training has 120 s to save its model"
            )
    if not stopped and not context.dry:
        context.print("stop: nothing runs")
    return FINE
