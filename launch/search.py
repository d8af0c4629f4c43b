"""The command tune: the recipe's tuning jobs, one after the other, each warm from its parents."""

from launch.aws import Response
from launch.context import LaunchContext
from launch.cost import check_budget
from launch.errors import LaunchError
from launch.follow import ENDED, describe, status_of, summary
from launch.jobs import FAILED, FINE, exit_code, start
from launch.recipe import searches
from launch.requests_tuning import tuning_job, tuning_name
from launch.search_checks import check_searches, earlier
from launch.state import Entry
from recipes.tuning import Tuning


def tune(context: LaunchContext) -> int:
    """Run the chain of searches, or one of it (--search NAME).

    A completed search is not run again (--again does that), a running one is followed.
    """
    chain = [one for one in searches(context.recipe) if context.options.search in ("", one.name)]
    if not chain:
        wanted = ""
        if context.options.search:
            wanted = f" {context.options.search!r}"
        raise LaunchError(f"the recipe '{context.recipe.path}' has no tuning{wanted}")
    before = {search.name: earlier(context, search.name) for search in chain}
    check_searches(context, chain, before)
    check_budget(context.recipe, "tuning", context.options.over_budget)
    # SageMaker's names by the searches' own ones. A dry run notes nothing, so it keeps them here.
    names = {entry.facts["search"]: entry.name for entry in context.state.all("tuning")}
    for search in chain:
        known = before[search.name]
        if known is not None:
            if follow_earlier(context, search.name, known.entry) == FAILED:
                return FAILED
            continue
        name = tuning_name(search.name, context.stamp)
        start_search(context, search, name, names)
        names[search.name] = name
        if context.dry:
            continue
        if context.options.no_wait:
            context.print(
                "tune: `launch tune` continues the chain; `launch status` shows its state"
            )
            return FINE
        if wait(context, name) != "Completed":
            context.print(f"tune: {name} did not complete; the chain ends here")
            return FAILED
    return FINE


def start_search(context: LaunchContext, search: Tuning, name: str, names: dict[str, str]) -> None:
    """Start a search under a name of SageMaker's. names: those of its parents, by search."""
    from tune.request import tuning_request

    part = tuning_request(search)
    request = tuning_job(context.recipe, context.target, part, name, names)
    operation = "CreateHyperParameterTuningJob"
    start(context, "tuning", name, operation, request, search=search.name)


def follow_earlier(context: LaunchContext, search: str, entry: Entry) -> int:
    """Follow an earlier command's tuning job; FINE when it completed, or with --no-wait."""
    status = status_of("tuning", describe(context, "tuning", entry.name))
    state = "runs"
    if status in ENDED:
        state = "completed"
    context.print(f"tune: {search} {state} as {entry.name} (--again runs it anew)")
    if status == "Completed" or context.options.no_wait:
        return FINE
    return exit_code(wait(context, entry.name))


def wait(context: LaunchContext, name: str) -> str:
    """Print each training that ends, and the states, until the tuning job ends; its status."""
    printed = ""
    known: set[str] = set()
    while True:
        answer = describe(context, "tuning", name)
        for trial in trials(context, name):
            # A restarted command prints all ended trainings once again.
            if trial["TrainingJobStatus"] in ENDED and trial["TrainingJobName"] not in known:
                known.add(trial["TrainingJobName"])
                context.print(trial_line(trial))
        line = summary("tuning", answer)
        if line != printed:
            context.print(f"{name}: {line}")
            printed = line
        status = status_of("tuning", answer)
        if status in ENDED:
            return status
        context.wait()


def trials(context: LaunchContext, name: str) -> list[Response]:
    """SageMaker's summaries of all trainings of a tuning job, oldest first."""
    found: list[Response] = []
    page_token: dict[str, str] = {}
    while True:
        page = context.ask(
            "sagemaker",
            "ListTrainingJobsForHyperParameterTuningJob",
            HyperParameterTuningJobName=name,
            MaxResults=100,
            SortBy="CreationTime",
            SortOrder="Ascending",
            **page_token,
        )
        found += page.get("TrainingJobSummaries", [])
        if not page.get("NextToken"):
            return found
        page_token = {"NextToken": page["NextToken"]}


def trial_line(trial: Response) -> str:
    """One line for a training that ended: its status, objective and hyperparameters."""
    objective = trial.get("FailureReason", "no objective")
    value = trial.get("FinalHyperParameterTuningJobObjectiveMetric", {})
    if value:
        objective = f"{value['MetricName']}={value['Value']:.4f}"
    chosen = sorted(trial.get("TunedHyperParameters", {}).items())
    words = " ".join(f"{name}={text}" for name, text in chosen)
    return f"trial {trial['TrainingJobName']}: {trial['TrainingJobStatus']}; {objective}; {words}"
