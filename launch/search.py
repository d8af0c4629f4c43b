"""launch tune: the recipe's tuning jobs on SageMaker, one after the other, each started warm from its parents."""

from launch.context import LaunchContext
from launch.cost import check_budget
from launch.errors import LaunchError
from launch.follow import ENDED, describe, status_of, steps
from launch.jobs import FAILED, FINE, describe_or_none, start
from launch.recipe import searches
from launch.requests_tuning import tuning_job, tuning_name
from launch.state import Entry


def tune(context: LaunchContext) -> int:
    """Run the chain, or one search of it (--search NAME). What already ended is not run again (--again does), what runs is followed."""
    from tune.request import tuning_request

    wanted = [
        search for search in searches(context.recipe) if context.options.search in ("", search.name)
    ]
    if not wanted:
        raise LaunchError(
            f"the recipe '{context.recipe.path}' has no tuning{f' {context.options.search!r}' if context.options.search else ''}"
        )
    check_budget(context.recipe, "tuning", context.options.over_budget)
    planned = {}
    for search in wanted:
        if not context.dry and (known := earlier(context, search.name)):
            if run_on(context, search.name, known) == FAILED:
                return FAILED
            continue
        name = tuning_name(search.name, context.stamp)
        parents = {
            **{entry.facts["search"]: entry.name for entry in context.state.all("tuning")},
            **planned,
        }
        planned[search.name] = name
        start(
            context,
            "tuning",
            name,
            "CreateHyperParameterTuningJob",
            tuning_job(context.recipe, context.target, tuning_request(search), name, parents),
            search=search.name,
        )
        if context.dry:
            continue
        if context.options.no_wait:
            context.print("tune: `launch tune` goes on with the chain; `launch status` looks at it")
            return FINE
        if wait(context, name) != "Completed":
            context.print(f"tune: {name} did not complete; the chain ends here")
            return FAILED
    return FINE


def earlier(context: LaunchContext, search: str) -> Entry | None:
    """The latest tuning job of a search that runs or completed; None with --again, or where it has to be run."""
    found = [entry for entry in context.state.all("tuning") if entry.facts.get("search") == search]
    if not found or context.options.again:
        return None
    answer = describe_or_none(context, "tuning", found[-1].name)
    return (
        found[-1] if answer and status_of("tuning", answer) not in ("Failed", "Stopped") else None
    )


def run_on(context: LaunchContext, search: str, entry: Entry) -> int:
    """Follow what an earlier command started; 0 when it completed."""
    status = status_of("tuning", describe(context, "tuning", entry.name))
    context.print(
        f"tune: {search} {'completed' if status in ENDED else 'runs'} as {entry.name} (--again runs it anew)"
    )
    return (
        FINE
        if status == "Completed"
        or context.options.no_wait
        or wait(context, entry.name) == "Completed"
        else FAILED
    )


def wait(context: LaunchContext, name: str) -> str:
    """Tell each training that ends, and the state, until the tuning job has ended; how it ended."""
    told, known = "", set()
    while True:
        answer = describe(context, "tuning", name)
        for trial in trials(context, name):
            if trial["TrainingJobStatus"] in ENDED and trial["TrainingJobName"] not in known:
                known.add(trial["TrainingJobName"])
                context.print(trial_words(trial))
        line = steps("tuning", answer)
        if line != told:
            context.print(f"{name}: {line}")
            told = line
        if status_of("tuning", answer) in ENDED:
            return status_of("tuning", answer)
        context.wait()


def trials(context: LaunchContext, name: str) -> list[dict]:
    """All trainings of a tuning job, oldest first, as SageMaker summarizes them."""
    found, token = [], {}
    while True:
        page = context.ask(
            "sagemaker",
            "ListTrainingJobsForHyperParameterTuningJob",
            HyperParameterTuningJobName=name,
            MaxResults=100,
            SortBy="CreationTime",
            SortOrder="Ascending",
            **token,
        )
        found += page.get("TrainingJobSummaries", [])
        if not page.get("NextToken"):
            return found
        token = {"NextToken": page["NextToken"]}


def trial_words(trial: dict) -> str:
    """One line of a training that ended."""
    value = trial.get("FinalHyperParameterTuningJobObjectiveMetric", {})
    tuned = " ".join(
        f"{name}={text}" for name, text in sorted(trial.get("TunedHyperParameters", {}).items())
    )
    told = (
        f"{value['MetricName']}={value['Value']:.4f}"
        if value
        else trial.get("FailureReason", "no objective")
    )
    return f"trial {trial['TrainingJobName']}: {trial['TrainingJobStatus']}; {told}; {tuned}"
