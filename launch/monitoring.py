"""The commands status, logs and stop, over all that was started for a recipe."""

import json
from dataclasses import replace

from launch.context import LaunchContext, to_stderr
from launch.errors import LaunchError, expected_sentence
from launch.follow import (
    DESCRIBE,
    ENDED,
    GROUPS,
    Metrics,
    Tail,
    follow,
    print_lines,
    status_of,
    summary,
)
from launch.jobs import FAILED, FINE, chosen, describe_or_none, endpoint_or_none, exit_code
from launch.progress import progress_words
from launch.stacks import stack_summary
from launch.state import Entry
from launch.tagged import recall, recall_and_say

STOP = {
    "training": "StopTrainingJob",
    "tuning": "StopHyperParameterTuningJob",
    "transform": "StopTransformJob",
    "processing": "StopProcessingJob",
}


def status(context: LaunchContext) -> int:
    """One line for each thing that this recipe started: jobs, the endpoint, its API.

    Also for those that the notes here lack: AWS finds them by the recipe's tag and names.
    """
    as_json = context.options.json
    if as_json:
        recall(replace(context, print=to_stderr))
    else:
        recall_and_say(context, "status")
    entries = context.state.all(*DESCRIBE, "endpoint", "api")
    if not entries and not as_json:
        context.print(f"status: nothing was started for {context.recipe.name} here")
    code = FINE
    for entry in entries:
        try:
            state = state_of(context, entry)
        except Exception as error:
            # The others are shown all the same.
            state = f"it cannot be seen ({expected_sentence(error)})"
            code = FAILED
        if state:
            context.print(shown(entry, state, as_json))
    return code


def state_of(context: LaunchContext, entry: Entry) -> str:
    """What AWS says of a thing that was started; of a job in a dry run, nothing."""
    if entry.kind == "endpoint":
        return endpoint_summary(context, entry.name)
    if entry.kind == "api":
        return stack_summary(context, entry.name)
    answer = describe_or_none(context, entry.kind, entry.name)
    if context.dry:
        return ""
    if answer is None:
        return "not on SageMaker"
    words = [summary(entry.kind, answer), *progress_words(context, entry.kind, answer)]
    return "; ".join(word for word in words if word)


def shown(entry: Entry, state: str, as_json: bool) -> str:
    """A thing that was started as a line for people, or as a JSON object for programs."""
    if as_json:
        words = {"kind": entry.kind, "name": entry.name, "state": state, "started": entry.started}
        return json.dumps(words)
    line = f"{entry.kind} {entry.name}: {state}"
    if entry.kind in DESCRIBE:
        line += f" (started {entry.started})"
    return line


def endpoint_summary(context: LaunchContext, name: str) -> str:
    """State, configuration and instances of an endpoint, for people."""
    answer = endpoint_or_none(context, name)
    if answer is None:
        return "not on SageMaker"
    words = [answer.get("EndpointStatus", ""), answer.get("EndpointConfigName", "")]
    for variant in answer.get("ProductionVariants", []):
        # A serverless variant has no instances.
        if "CurrentInstanceCount" in variant:
            current = variant["CurrentInstanceCount"]
            desired = variant.get("DesiredInstanceCount", "")
            words.append(f"{variant['VariantName']} {current} of {desired} instances")
    words.append(answer.get("FailureReason", ""))
    return "; ".join(word for word in words if word)


def logs(context: LaunchContext) -> int:
    """Follow the log of the latest job, or of --job; with --endpoint the endpoint's, to Ctrl-C."""
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
    return exit_code(status_of(entry.kind, answer))


def endpoint_logs(context: LaunchContext) -> int:
    """Follow the endpoint's log; with --no-wait end when there are no more lines."""
    group = f"/aws/sagemaker/Endpoints/{context.recipe.endpoint_name}"
    if context.dry:
        context.ask("logs", "DescribeLogStreams", logGroupName=group)
        return FINE
    # An endpoint's streams are named after variants and instances, so all of them are read.
    tail = Tail(context, group, "")
    metrics = Metrics()
    # The log of an endpoint has no end.
    while print_lines(context, tail, metrics, False) or not context.options.no_wait:
        context.wait()
    return FINE


def ask_to_stop(context: LaunchContext, entry: Entry) -> bool:
    """Ask for a job's end; False where it has ended in the meantime."""
    try:
        context.ask("sagemaker", STOP[entry.kind], **{DESCRIBE[entry.kind][1]: entry.name})
    except Exception:
        answer = describe_or_none(context, entry.kind, entry.name)
        status_now = "Deleted" if answer is None else status_of(entry.kind, answer)
        if status_now not in (*ENDED, "Stopping"):
            raise
        return status_now == "Stopping"
    return True


def stop(context: LaunchContext) -> int:
    """Stop all running jobs, or the one of --job; a training keeps its best model so far.

    One that cannot be stopped keeps none of the others running.
    """
    if context.dry or context.options.job:
        entries = [chosen(context, *STOP)]
    else:
        recall_and_say(context, "stop", *STOP)
        entries = context.state.all(*STOP)
    stopped = 0
    running = []
    for entry in entries:
        try:
            stopped += _stop_one(context, entry)
        except Exception as error:
            context.print(f"stop: {entry.name} was not stopped: {expected_sentence(error)}")
            running.append(entry.name)
    if running:
        raise LaunchError(
            f"{len(running)} of {len(entries)} jobs may still run and cost: {', '.join(running)}; "
            "mend the reasons above, then run `launch stop` again"
        )
    if not stopped and not context.dry:
        context.print("stop: nothing runs")
    return FINE


def _stop_one(context: LaunchContext, entry: Entry) -> bool:
    """Stop a job, if it runs; whether it does."""
    if not context.dry:
        answer = describe_or_none(context, entry.kind, entry.name)
        if answer is None or status_of(entry.kind, answer) in ENDED:
            return False
    if not ask_to_stop(context, entry):
        return False
    if not context.dry:
        context.print(f"stop: {entry.name} is stopping; a training has 120 s to save its model")
    return True
