"""A running job: its states, its log lines, and its metrics in one line per epoch. Only reads."""

import re
from collections.abc import Iterator
from contextlib import suppress

from launch.aws import AwsClient, Request, Response
from launch.context import LaunchContext
from launch.errors import NOT_ALLOWED, code_of, is_missing, sentence

ENDED = ("Completed", "Failed", "Stopped", "Deleted")
GROUPS = {
    "training": "/aws/sagemaker/TrainingJobs",
    "tuning": "/aws/sagemaker/TrainingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
    "processing": "/aws/sagemaker/ProcessingJobs",
}
# By kind: the operation, its parameter, and the answer's field of the job's status.
DESCRIBE = {
    "training": ("DescribeTrainingJob", "TrainingJobName", "TrainingJobStatus"),
    "tuning": (
        "DescribeHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
    ),
    "transform": ("DescribeTransformJob", "TransformJobName", "TransformJobStatus"),
    "processing": ("DescribeProcessingJob", "ProcessingJobName", "ProcessingJobStatus"),
}
RULE_STATUSES = ("DebugRuleEvaluationStatuses", "ProfilerRuleEvaluationStatuses")
# The same metrics as MEASURED of requests_training, and the epoch.
METRIC = re.compile(r"\b(epoch|(?:train|validation|test)_(?:loss|accuracy))=([-+.\w]+)")
# Pages of log lines per look, each at most 1 MB.
PAGES = 20


def describe(context: LaunchContext, kind: str, name: str) -> Response:
    """The answer of Describe…; raises botocore's error for an unknown job."""
    operation, key, _ = DESCRIBE[kind]
    return context.ask("sagemaker", operation, **{key: name})


def status_of(kind: str, answer: Response) -> str:
    return str(answer.get(DESCRIBE[kind][2], "Unknown"))


class Tail:
    """New lines of the log streams whose names begin with a prefix; each line once."""

    def __init__(self, context: LaunchContext, group: str, prefix: str):
        self.context = context
        self.group = group
        self.prefix = prefix
        # By stream: CloudWatch's token for the page after the last one that was read.
        self.tokens: dict[str, str] = {}
        self.refused = False

    def lines(self) -> Iterator[tuple[str, str]]:
        """(stream, line) of all new lines; none while the group or a stream does not exist yet."""
        if self.refused:
            return
        client = self.context.client("logs")
        for stream in self._streams(client):
            for _ in range(PAGES):
                request = self._request(stream)
                page = client.get_log_events(**request)
                for event in page["events"]:
                    yield stream, event["message"].rstrip()
                token = page["nextForwardToken"]
                # At the end of a stream CloudWatch answers with the token that it was given.
                at_end = token == request.get("nextToken")
                self.tokens[stream] = token
                if at_end or not page["events"]:
                    break

    def _streams(self, client: AwsClient) -> list[str]:
        """The streams' names; none without the group, or without the permission to look."""
        request: Request = {"logGroupName": self.group}
        if self.prefix:
            request["logStreamNamePrefix"] = self.prefix
        names: list[str] = []
        try:
            for page in client.get_paginator("describe_log_streams").paginate(**request):
                names += [entry["logStreamName"] for entry in page["logStreams"]]
        except Exception as error:
            if is_missing(error):
                return []
            if code_of(error) not in NOT_ALLOWED:
                raise
            self.refused = True
            self.context.print(f"logs: {sentence(error)}; going on without them")
            return []
        return names

    def _request(self, stream: str) -> Request:
        request: Request = {
            "logGroupName": self.group,
            "logStreamName": stream,
            "startFromHead": True,
        }
        if stream in self.tokens:
            request["nextToken"] = self.tokens[stream]
        return request


class Metrics:
    """Metrics of log lines, as one line: the last of each, and the best validation accuracy."""

    def __init__(self) -> None:
        self.last: dict[str, str] = {}
        self.best = -1.0

    def take(self, line: str) -> str | None:
        """The metrics so far, after a line with an epoch's metrics; None after other lines."""
        found = dict(METRIC.findall(line))
        if not found:
            return None
        self.last.update(found)
        # max keeps its first value where the second is nan: every comparison with nan is false.
        with suppress(ValueError):
            self.best = max(self.best, float(found.get("validation_accuracy", "nan")))
        words = [f"{name}={value}" for name, value in self.last.items()]
        if self.best >= 0:
            words.append(f"best={self.best:.4f}")
        return " ".join(words)


def follow(context: LaunchContext, kind: str, name: str, only_metrics: bool = False) -> Response:
    """Print a job's states and log until it has ended; its last description."""
    prefix = f"{name}/"
    if kind == "tuning":
        # A tuning job has no log of its own: these are the streams of its trainings.
        prefix = f"{name}-"
    tail = Tail(context, GROUPS[kind], prefix)
    metrics = Metrics()
    printed = ""
    while True:
        answer = describe(context, kind, name)
        line = summary(kind, answer)
        # A job keeps its state for minutes; print it once.
        if line != printed:
            context.print(f"{name}: {line}")
            printed = line
        # Read the log after the state: the last lines of a job that ended are there, too.
        print_lines(context, tail, metrics, only_metrics)
        if status_of(kind, answer) in ENDED:
            return answer
        context.wait()


def print_lines(context: LaunchContext, tail: Tail, metrics: Metrics, only_metrics: bool) -> int:
    """Print the new lines of a log, or the metrics of each epoch alone; the number of new lines."""
    count = 0
    for _, line in tail.lines():
        count += 1
        so_far = metrics.take(line)
        # Each epoch once: its own line has the same numbers.
        if not only_metrics:
            context.print(line)
        elif so_far:
            context.print(f"metrics: {so_far}")
    return count


def summary(kind: str, answer: Response) -> str:
    """A job's state in one line, for people."""
    if kind == "training":
        words = training_words(answer)
    elif kind == "tuning":
        words = tuning_words(answer)
    else:
        words = [status_of(kind, answer)]
    words.append(answer.get("FailureReason", ""))
    return "; ".join(word for word in words if word)


def training_words(answer: Response) -> list[str]:
    """Status, SageMaker's message, the rules' states, and the billed time; some may be empty."""
    status = status_of("training", answer)
    second = answer.get("SecondaryStatus", status)
    if second != status:
        status = f"{status}, {second}"
    transitions = answer.get("SecondaryStatusTransitions") or [{}]
    rules = []
    for field in RULE_STATUSES:
        for rule in answer.get(field, []):
            rules.append(f"{rule['RuleConfigurationName']}={rule['RuleEvaluationStatus']}")
    return [status, transitions[-1].get("StatusMessage", ""), " ".join(rules), billed(answer)]


def tuning_words(answer: Response) -> list[str]:
    """Status, the trainings by state, and the best one so far."""
    counters = answer.get("TrainingJobStatusCounters", {})
    counts = [f"{name}={count}" for name, count in counters.items() if count]
    words = [status_of("tuning", answer), " ".join(counts)]
    best = answer.get("BestTrainingJob", {})
    value = best.get("FinalHyperParameterTuningJobObjectiveMetric", {})
    if value:
        metric = f"{value.get('MetricName')}={value.get('Value')}"
        words.append(f"best {best['TrainingJobName']}: {metric}")
    return words


def billed(answer: Response) -> str:
    """The time that a training took, the billed time, and the saving by spot."""
    seconds = answer.get("TrainingTimeInSeconds")
    billed_s = answer.get("BillableTimeInSeconds")
    if not seconds or billed_s is None:
        return ""
    text = f"{seconds} s of training, {billed_s} s billed"
    if answer.get("EnableManagedSpotTraining") and billed_s < seconds:
        saved_percent = 100 - 100 * billed_s / seconds
        text += f", {saved_percent:.0f} % saved by spot"
    return text
