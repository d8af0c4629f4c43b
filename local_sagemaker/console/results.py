"""What came of a job or an endpoint: charts that move, and tables."""

from artifact.text.numbers import duration, number
from local_sagemaker.console.charts import metric_charts, search_chart, usage_charts
from local_sagemaker.console.details import Cell, Table, address
from local_sagemaker.console.kinds import KINDS, Kind
from local_sagemaker.console.rows import last_metrics, result, state_words
from local_sagemaker.console.words import moment
from local_sagemaker.pipelines import pipeline_executions
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.tuning import trials, tunings

MOST_TRIALS = 500
ALL = 10_000  # records of a page of a List operation: all of them
# The kind of what a step of a pipeline has made, by the name in the step's Metadata.
MADE = {
    "TrainingJob": "training-jobs",
    "ProcessingJob": "processing-jobs",
    "TransformJob": "transform-jobs",
    "TuningJob": "tuning-jobs",
    "Model": "models",
    "RegisterModel": "model-packages",
}


def charts(kind: Kind, platform: Platform, record: Record) -> list[Record]:
    if kind.path == "training-jobs":
        return metric_charts(platform.metric_history.of_job(record["TrainingJobName"]))
    if kind.path == "tuning-jobs":
        members = _members(platform, record)
        if members:
            objective = _objective(record)
            values = [_value(member) for member in members]
            maximize = objective["Type"] == "Maximize"
            return [search_chart(objective["MetricName"], maximize, values)]
    return []


def usage(kind: Kind, platform: Platform, record: Record) -> list[Record]:
    """Charts of what a job has of its machine."""
    if kind.path == "training-jobs":
        return usage_charts(platform.training_usage.of_job(record["TrainingJobName"]))
    if kind.path == "processing-jobs":
        return usage_charts(platform.processing_usage.of_job(record["ProcessingJobName"]))
    return []


def results(kind: Kind, platform: Platform, record: Record) -> list[Table]:
    """Tables of what came of it."""
    if kind.path == "training-jobs":
        return [_metrics(platform, record), *_rules(record)]
    if kind.path == "tuning-jobs":
        return [_trials(platform, record)]
    if kind.path == "endpoints":
        return [_variants(record)]
    if kind.path == "pipelines":
        return [_executions(platform, record)]
    if kind.path == "pipeline-executions":
        return [_steps(record)]
    return []


def _metrics(platform: Platform, record: Record) -> Table:
    rows: list[list[Cell]] = [
        [value["MetricName"], number(value["Value"]), moment(value["Timestamp"])]
        for value in last_metrics(platform, record)
    ]
    return Table("Last values", ["Metric", "Value", "At"], rows)


def _rules(record: Record) -> list[Table]:
    """Debugger's and profiler's verdicts; they come after the training."""
    rows: list[list[Cell]] = []
    for field in ("DebugRuleEvaluationStatuses", "ProfilerRuleEvaluationStatuses"):
        for entry in record.get(field, []):
            rows.append(
                [
                    entry["RuleConfigurationName"],
                    entry["RuleEvaluationStatus"],
                    entry.get("StatusDetails", ""),
                ]
            )
    if not rows:
        return []
    return [Table("Rules", ["Rule", "State", "Words"], rows)]


def _objective(record: Record) -> Record:
    config: Record = record["HyperParameterTuningJobConfig"]
    objective: Record = config["HyperParameterTuningJobObjective"]
    return objective


def _members(platform: Platform, record: Record) -> list[Record]:
    """A search's trainings, the oldest first."""
    request = {trials.NAME: record[trials.NAME], "MaxResults": ALL, "SortOrder": "Ascending"}
    found: list[Record] = tunings.list_children(platform, request, record["Region"])[
        "TrainingJobSummaries"
    ]
    return found[-MOST_TRIALS:]


def _value(member: Record) -> float:
    return float(member.get(tunings.FINAL, {}).get("Value", "nan"))


def _short(value: str) -> str:
    """A hyperparameter's text; of a number with many digits the first four."""
    try:
        short = number(float(value))
    except ValueError:
        return value
    return min(short, value, key=len)


def _trials(platform: Platform, record: Record) -> Table:
    members = _members(platform, record)
    tuned = trials.tuned_names(record)
    objective = _objective(record)
    rows: list[list[Cell]] = []
    best = record.get("BestTrainingJob", {}).get("TrainingJobName")
    for member in reversed(members):
        name = member["TrainingJobName"]
        value = ""
        if tunings.FINAL in member:
            value = number(member[tunings.FINAL]["Value"])
        if name == best:
            value += " (best)"
        kind = KINDS["training-jobs"]
        given = [_short(member["TunedHyperParameters"].get(one, "")) for one in tuned]
        link = (name, address("training-jobs", name))
        rows.append([link, state_words(kind, member), value, *given])
    head = ["Training", "State", objective["MetricName"], *tuned]
    return Table("Trials", head, rows)


def _variants(record: Record) -> Table:
    rows: list[list[Cell]] = []
    for entry in record.get("ProductionVariants") or []:
        running = entry.get("CurrentInstanceCount", "")
        images = entry.get("DeployedImages") or [{}]
        rows.append(
            [
                entry["VariantName"],
                f"{entry.get('CurrentWeight', '')}",
                f"{running}",
                str(images[0].get("SpecifiedImage", "")),
            ]
        )
    return Table("Variants", ["Variant", "Weight", "Instances", "Image"], rows)


def _executions(platform: Platform, record: Record) -> Table:
    kind = KINDS["pipeline-executions"]
    rows: list[list[Cell]] = []
    found = pipeline_executions.executions_of(platform, record)
    for one in sorted(found, key=lambda one: float(one["CreationTime"]), reverse=True):
        link = (kind.name(one), address(kind.path, kind.name(one)))
        rows.append(
            [link, state_words(kind, one), moment(one["CreationTime"]), result(kind, platform, one)]
        )
    return Table("Executions", ["Execution", "State", "Created", "Words"], rows)


def _steps(record: Record) -> Table:
    rows: list[list[Cell]] = []
    for name, step in record["Steps"].items():
        took = ""
        if "StartTime" in step and "EndTime" in step:
            took = duration(step["EndTime"] - step["StartTime"])
        reason = str(step.get("FailureReason", ""))
        rows.append([name, step["StepStatus"], took, _made(step), reason])
    return Table("Steps", ["Step", "State", "Took", "Made", "Words"], rows)


def _made(step: Record) -> Cell:
    """What a step has made, as a link to its page."""
    for name, kind in MADE.items():
        arn = step.get("Metadata", {}).get(name, {}).get("Arn", "")
        if arn:
            made = arn.partition("/")[2].replace("/", ".")
            return (made, address(kind, made))
    return ""
