"""What a running job tells: its state step by step, its log lines, and its metrics as one line an epoch. Asks, never changes."""

import re
from collections.abc import Iterator

from launch.context import LaunchContext
from launch.errors import NOT_ALLOWED, code_of, is_missing, sentence

ENDED = ("Completed", "Failed", "Stopped", "Deleted")
GROUPS = {
    "training": "/aws/sagemaker/TrainingJobs",
    "tuning": "/aws/sagemaker/TrainingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
}
DESCRIBE = {
    "training": ("DescribeTrainingJob", "TrainingJobName", "TrainingJobStatus"),
    "tuning": (
        "DescribeHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
    ),
    "transform": ("DescribeTransformJob", "TransformJobName", "TransformJobStatus"),
}
RULE_STATUSES = ("DebugRuleEvaluationStatuses", "ProfilerRuleEvaluationStatuses")
METRIC = re.compile(r"\b(epoch|(?:train|validation|test)_(?:loss|accuracy))=([-+.\w]+)")
PAGES = 20  # of log lines at a time: 20 MB at most


def describe(context: LaunchContext, kind: str, name: str) -> dict:
    """The answer of Describe…; raises botocore's error where there is no such job."""
    operation, key, _ = DESCRIBE[kind]
    return context.ask("sagemaker", operation, **{key: name})


def status_of(kind: str, answer: dict) -> str:
    return answer.get(DESCRIBE[kind][2], "Unknown")


class Tail:
    """New lines of the log streams whose names begin with a prefix; each line once."""

    def __init__(self, context: LaunchContext, group: str, prefix: str):
        self.context, self.group, self.prefix = context, group, prefix
        self.tokens: dict[str, str] = {}
        self.refused = False

    def lines(self) -> Iterator[tuple[str, str]]:
        """(stream, line) of what came since the last time; nothing while the group or a stream is still to come."""
        client = self.context.client("logs")
        if self.refused:
            return
        try:
            streams = [
                entry["logStreamName"]
                for page in client.get_paginator("describe_log_streams").paginate(
                    logGroupName=self.group, **self._named()
                )
                for entry in page["logStreams"]
            ]
        except Exception as error:
            if is_missing(error):
                return
            if code_of(error) in NOT_ALLOWED:
                self.refused = True
                self.context.print(f"logs: {sentence(error)}; going on without them")
                return
            raise
        for stream in streams:
            for _ in range(PAGES):
                token = {"nextToken": self.tokens[stream]} if stream in self.tokens else {}
                page = client.get_log_events(
                    logGroupName=self.group, logStreamName=stream, startFromHead=True, **token
                )
                for event in page["events"]:
                    yield stream, event["message"].rstrip()
                before, self.tokens[stream] = self.tokens.get(stream), page["nextForwardToken"]
                if before == self.tokens[stream] or not page["events"]:
                    break

    def _named(self) -> dict:
        return {"logStreamNamePrefix": self.prefix} if self.prefix else {}


class Metrics:
    """Metrics of log lines, as one line: the last of each, and the best validation accuracy."""

    def __init__(self):
        self.last: dict[str, str] = {}
        self.best = -1.0

    def take(self, line: str) -> str | None:
        """The live line after a line that has an epoch's metrics; None after any other."""
        found = dict(METRIC.findall(line))
        if not found:
            return None
        self.last.update(found)
        try:
            self.best = max(self.best, float(found.get("validation_accuracy", "nan")))
        except ValueError:
            pass
        return " ".join(f"{name}={value}" for name, value in self.last.items()) + (
            f" best={self.best:.4f}" if self.best >= 0 else ""
        )


def follow(context: LaunchContext, kind: str, name: str, only_metrics: bool = False) -> dict:
    """Print what a job tells until it has ended; its last description."""
    tail, metrics, told = (
        Tail(context, GROUPS[kind], f"{name}-" if kind == "tuning" else f"{name}/"),
        Metrics(),
        "",
    )
    while True:
        answer = describe(context, kind, name)
        status, line = status_of(kind, answer), steps(kind, answer)
        if line != told:
            context.print(f"{name}: {line}")
            told = line
        print_lines(context, tail, metrics, only_metrics)
        if status in ENDED:
            return answer
        context.wait()


def print_lines(context: LaunchContext, tail: Tail, metrics: Metrics, only_metrics: bool) -> int:
    """Print the new lines of a log, and after each epoch's the live line; how many lines came."""
    count = 0
    for _, line in tail.lines():
        count += 1
        live = metrics.take(line)
        if not only_metrics:
            context.print(line)
        if live:
            context.print(f"metrics: {live}")
    return count


def steps(kind: str, answer: dict) -> str:
    """A job's state in words."""
    status = status_of(kind, answer)
    if kind == "training":
        second = answer.get("SecondaryStatus", status)
        message = (answer.get("SecondaryStatusTransitions") or [{}])[-1].get("StatusMessage", "")
        rules = [
            f"{one['RuleConfigurationName']}={one['RuleEvaluationStatus']}"
            for name in RULE_STATUSES
            for one in answer.get(name, [])
        ]
        words = [
            status if second == status else f"{status}, {second}",
            message,
            " ".join(rules),
            billed(answer),
        ]
    elif kind == "tuning":
        counters = answer.get("TrainingJobStatusCounters", {})
        best = answer.get("BestTrainingJob", {})
        value = best.get("FinalHyperParameterTuningJobObjectiveMetric", {})
        words = [
            status,
            " ".join(f"{name}={count}" for name, count in counters.items() if count),
            f"best {best['TrainingJobName']}: {value.get('MetricName')}={value.get('Value')}"
            if value
            else "",
        ]
    else:
        words = [status]
    return "; ".join(word for word in [*words, answer.get("FailureReason", "")] if word)


def billed(answer: dict) -> str:
    """What a training took, and what spot saved."""
    seconds, paid = answer.get("TrainingTimeInSeconds"), answer.get("BillableTimeInSeconds")
    if not seconds or paid is None:
        return ""
    saved = (
        f", {100 - 100 * paid / seconds:.0f} % saved by spot"
        if answer.get("EnableManagedSpotTraining") and paid < seconds
        else ""
    )
    return f"{seconds} s of training, {paid} s billed{saved}"
