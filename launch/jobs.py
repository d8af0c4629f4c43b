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
from launch.recipe import Recipe, located, read_hyperparameters
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


def upload_channels(desk: LaunchContext) -> int:
    """Bring the recipe's folders to S3; a dry run shows a PutObject a file."""
    recipe = desk.recipe
    folders = {
        name: given
        for name, given in recipe.settings.channels.items()
        if not given.startswith("s3://")
    }
    if not folders:
        desk.tell("upload: all channels are in S3 already")
    for name, folder in ((name, located(given)) for name, given in folders.items()):
        key = f"{prefix(recipe)}/data/{name}/"
        if desk.dry:
            place = Channel(None, bucket(recipe, desk.place), key, recipe.settings.kms_key)
            for file in files_of(folder) if folder.is_dir() else []:
                desk.ask("s3", "PutObject", **place.put_request(file), Body=str(file.path))
            if not folder.is_dir():
                desk.tell(
                    f"dry run: there is no folder '{folder}' yet, so no file of channel {name} is shown"
                )
            continue
        plan = upload(
            Channel(desk.client("s3"), bucket(recipe, desk.place), key, recipe.settings.kms_key),
            files_of(folder),
            desk.tell,
            name,
        )
        desk.tell(
            f"upload: {name}: s3://{bucket(recipe, desk.place)}/{key} has {len(plan.put) + len(plan.same)} files"
        )
    return FINE


def train(desk: LaunchContext) -> int:
    """Start a training and follow it; one that still runs is followed in its place."""
    running = unfinished(desk, "training")
    if running:
        desk.tell(f"train: {running.name} still runs; following it (--again starts another)")
        return finish(desk, "training", running.name)
    check_budget(desk.recipe, "training", desk.options.over_budget)
    recipe, name = told(desk), dated(desk.recipe.name, desk.stamp)
    if desk.options.best:
        recipe = replace(recipe, hyperparameters={**recipe.hyperparameters, **best_trial(desk)[1]})
    start_training(desk, name, training_job(recipe, desk.target, name, desk.options.checkpoints))
    return FINE if desk.dry else finish(desk, "training", name)


def told(desk: LaunchContext) -> Recipe:
    """The recipe, with those of --hyperparameters in place of its own."""
    file = desk.options.hyperparameters
    return replace(desk.recipe, hyperparameters=read_hyperparameters(file)) if file else desk.recipe


def best_trial(desk: LaunchContext) -> tuple[str, dict[str, str]]:
    """The best training of the latest search: its name, and the hyperparameters that the search chose or held. LaunchError without one."""
    entry = desk.state.latest("tuning")
    if entry is None:
        raise LaunchError(
            f"no search was started here for {desk.recipe.name}, so there is no best trial; run `launch tune` first"
        )
    answer = describe(desk, "tuning", entry.name)
    best = answer.get("OverallBestTrainingJob") or answer.get("BestTrainingJob")
    if not best:
        if desk.dry:
            return f"best-of-{entry.name}", {}
        raise LaunchError(f"the search {entry.name} has no trial with an objective yet")
    desk.tell(f"best of {entry.name}: {best['TrainingJobName']}")
    return best["TrainingJobName"], {
        **answer["TrainingJobDefinition"].get("StaticHyperParameters", {}),
        **best["TunedHyperParameters"],
    }


def debug(desk: LaunchContext) -> int:
    """A training that SageMaker Debugger watches; one that watches itself with --own, or where AWS refuses Debugger."""
    check_budget(desk.recipe, "training", desk.options.over_budget)
    name = dated(f"{desk.recipe.name}-debug", desk.stamp)
    recipe = told(desk)
    own = own_debug_job(recipe, desk.target, name)
    if desk.options.own:
        start_training(desk, name, own)
    else:
        try:
            start(desk, "training", name, "CreateTrainingJob", debug_job(recipe, desk.target, name))
        except Exception as error:
            if not refuses_debugger(error):
                raise
            desk.tell(
                f"debug: AWS refuses Debugger for this account ({message_of(error)}); the training watches itself instead, "
                "and `launch report` runs `python -m diagnose` on what it saved"
            )
            start_training(desk, name, own)
    return FINE if desk.dry else finish(desk, "training", name)


def start_training(desk: LaunchContext, name: str, request: dict) -> None:
    """Start a training whose profiler is switched off; where AWS refuses even to be told so, without a word of it."""
    try:
        start(desk, "training", name, "CreateTrainingJob", request)
    except Exception as error:
        if not refuses_debugger(error):
            raise
        start(
            desk,
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
    desk: LaunchContext, kind: str, name: str, operation: str, request: dict, **facts: object
) -> None:
    """Note a job and ask for it; one that AWS refuses is forgotten."""
    desk.note(kind, name, **facts)
    try:
        desk.send(Call("sagemaker", operation, request))
    except Exception as error:
        if (
            code_of(error) != "ResourceInUse"
        ):  # the name is ours alone: an earlier try arrived, its answer did not
            if not desk.dry:
                desk.state.remove(kind, name)
            raise
    if not desk.dry:
        desk.tell(f"started: {kind} job {name}")


def finish(desk: LaunchContext, kind: str, name: str) -> int:
    """Follow a job to its end; 0 when it completed."""
    if desk.options.no_wait:
        desk.tell(
            f"it goes on by itself: `python -m launch status {desk.recipe.path}` and `logs` look at it"
        )
        return FINE
    answer = follow(desk, kind, name, getattr(desk.options, "metrics", False))
    if kind == "training" and status_of(kind, answer) != "Failed":
        desk.tell(
            f"model: {answer.get('ModelArtifacts', {}).get('S3ModelArtifacts') or model_data(desk.recipe, desk.place, name)}"
        )
    return FINE if status_of(kind, answer) == "Completed" else FAILED


def unfinished(desk: LaunchContext, kind: str) -> Entry | None:
    """The latest job of a kind, if it still runs and no other is asked for."""
    entry = None if desk.dry or desk.options.again else desk.state.latest(kind)
    if entry is None:
        return None
    answer = describe_or_none(desk, kind, entry.name)
    return entry if answer and status_of(kind, answer) not in ENDED else None


def describe_or_none(desk: LaunchContext, kind: str, name: str) -> dict | None:
    try:
        return describe(desk, kind, name)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def status(desk: LaunchContext) -> int:
    """One line for all that this recipe started: jobs, the endpoint, its API."""
    entries = desk.state.all(*DESCRIBE, "endpoint", "api")
    if not entries:
        desk.tell(f"status: nothing was started for {desk.recipe.name} here")
    for entry in entries:
        if entry.kind in ("endpoint", "api"):
            desk.tell(
                f"{entry.kind} {entry.name}: {(endpoint_words if entry.kind == 'endpoint' else stack_words)(desk, entry.name)}"
            )
            continue
        answer = describe_or_none(desk, entry.kind, entry.name)
        if not desk.dry:
            desk.tell(
                f"{entry.kind} {entry.name}: {steps(entry.kind, answer) if answer else 'not on SageMaker'} (started {entry.started})"
            )
    return FINE


def endpoint_words(desk: LaunchContext, name: str) -> str:
    """State, configuration and instances of an endpoint."""
    try:
        answer = desk.ask("sagemaker", "DescribeEndpoint", EndpointName=name)
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


def logs(desk: LaunchContext) -> int:
    """Follow the log of the latest job, or of the one named; with --endpoint the endpoint's, until Ctrl-C."""
    if desk.options.endpoint:
        return endpoint_logs(desk)
    entry = chosen(desk, *GROUPS)
    if desk.dry:
        desk.ask(
            "logs",
            "DescribeLogStreams",
            logGroupName=GROUPS[entry.kind],
            logStreamNamePrefix=f"{entry.name}/",
        )
        return FINE
    answer = follow(desk, entry.kind, entry.name, desk.options.metrics)
    return FINE if status_of(entry.kind, answer) == "Completed" else FAILED


def endpoint_logs(desk: LaunchContext) -> int:
    group = f"/aws/sagemaker/Endpoints/{desk.recipe.endpoint_name}"
    if desk.dry:
        desk.ask("logs", "DescribeLogStreams", logGroupName=group)
        return FINE
    tail, metrics = Tail(desk, group, ""), Metrics()
    while print_lines(desk, tail, metrics, False) or not desk.options.no_wait:
        desk.wait()
    return FINE


def chosen(desk: LaunchContext, *kinds: str) -> Entry:
    """The job named by --job, else the latest that was started. LaunchError where there is none; a dry run names the one that would be next."""
    name = desk.options.job
    entries = [entry for entry in desk.state.all(*kinds) if not name or entry.name == name]
    if entries:
        return entries[-1]
    if name or desk.dry:
        return Entry(kinds[0], name or dated(desk.recipe.name, desk.stamp), desk.now())
    raise LaunchError(
        f"no {' or '.join(kinds)} job was started here for {desk.recipe.name}; name one with --job"
    )


def stop(desk: LaunchContext) -> int:
    """Stop what still runs, or the job named; a training keeps its best model so far."""
    entries = [chosen(desk, *STOP)] if desk.options.job or desk.dry else desk.state.all(*STOP)
    stopped = 0
    for entry in entries:
        answer = {} if desk.dry else describe_or_none(desk, entry.kind, entry.name)
        if answer is None or status_of(entry.kind, answer) in ENDED:
            continue
        desk.ask("sagemaker", STOP[entry.kind], **{DESCRIBE[entry.kind][1]: entry.name})
        stopped += 1
        if not desk.dry:
            desk.tell(
                f"stop: {entry.name} was told to stop; a training has 120 s to save its model"
            )
    if not stopped and not desk.dry:
        desk.tell("stop: nothing runs")
    return FINE
