"""What AWS has of a recipe, found by its tag and by its names: the notes may lack some of it.

Everything that `launch` makes carries the tag slipway:recipe; the trainings of a search carry the
search's.
"""

from datetime import UTC

from launch.aws import Response
from launch.context import LaunchContext
from launch.errors import NOT_ALLOWED, code_of, sentence
from launch.follow import DESCRIBE
from launch.jobs import describe_or_none, endpoint_or_none
from launch.making import tags_of
from launch.preparation import step_in
from launch.recipe import searches, slug
from launch.requests_api import stack_name
from launch.requests_training import RECIPE_TAG
from launch.requests_tuning import tuning_name
from launch.requests_update import alarm_name, scaling, wake_alarm_name
from launch.stacks import stack_or_none
from launch.state import Entry

# By an ARN's service and type of resource: the kind of our notes.
KIND_OF = {
    ("sagemaker", "training-job"): "training",
    ("sagemaker", "hyper-parameter-tuning-job"): "tuning",
    ("sagemaker", "transform-job"): "transform",
    ("sagemaker", "processing-job"): "processing",
    ("sagemaker", "model"): "model",
    ("sagemaker", "endpoint-config"): "config",
    ("sagemaker", "endpoint"): "endpoint",
    ("cloudwatch", "alarm"): "alarm",
    ("cloudformation", "stack"): "api",
}
# Of the time in a job's name, at its end: 261121-1815-k3f9, and of older ones 261121-181500.
STAMP_LENGTHS = (16, 13)

# By kind: the operation that lists its things, its field of them, and their field of the name.
LISTS = {
    "training": ("ListTrainingJobs", "TrainingJobSummaries", "TrainingJobName"),
    "tuning": (
        "ListHyperParameterTuningJobs",
        "HyperParameterTuningJobSummaries",
        "HyperParameterTuningJobName",
    ),
    "transform": ("ListTransformJobs", "TransformJobSummaries", "TransformJobName"),
    "processing": ("ListProcessingJobs", "ProcessingJobSummaries", "ProcessingJobName"),
    "model": ("ListModels", "Models", "ModelName"),
    "config": ("ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName"),
    "endpoint": ("ListEndpoints", "Endpoints", "EndpointName"),
}
NAME_PART = 8  # characters of a long name that no time at its end cuts off


def recall(context: LaunchContext, *kinds: str) -> list[Entry]:
    """Find what the notes lack in the recipe's region, and note it; the new entries.

    kinds: of what is wanted; all without them. A dry run shows the request.
    """
    try:
        listed = tagged(context)
    except Exception as error:
        if code_of(error) not in NOT_ALLOWED:
            raise
        context.print(f"{sentence(error)}; looking for the recipe's names instead")
        listed = [*named(context), *named_elsewhere(context)]
    if context.dry:
        return []
    if kinds:
        listed = [(kind, name) for kind, name in listed if kind in kinds]
    found = entries_of(context, listed)
    if not kinds or "endpoint" in kinds:
        found += endpoint_by_name(context, found)
    if any(entry.kind == "endpoint" for entry in found) and scaling(context.recipe):
        # It has no ARN that says its name; the notes have the endpoint's.
        found.append(Entry("scaling", context.recipe.endpoint_name, ""))
    if found:
        context.state.recall(found)
    return found


def recall_and_say(context: LaunchContext, command: str, *kinds: str) -> None:
    """recall, with a line for each thing that was found."""
    for entry in recall(context, *kinds):
        context.print(f"{command}: found on AWS, and noted again: {entry.kind} {entry.name}")


def recall_lost(context: LaunchContext, command: str) -> None:
    """Where the notes have no job at all: recall_and_say of jobs.

    Else a command that was typed again would pay for a second job beside a running one. Who may
    not look is told so, and goes on.
    """
    if context.dry or context.state.all(*DESCRIBE):
        return
    try:
        recall_and_say(context, command, *DESCRIBE)
    except Exception as error:
        if code_of(error) not in NOT_ALLOWED:
            raise
        context.print(f"{sentence(error)}; jobs that the notes lack are not seen")


def entries_of(context: LaunchContext, listed: list[tuple[str, str]]) -> list[Entry]:
    """Entries of those listed things, by kind and name, that the notes lack and that are there."""
    known = {(entry.kind, entry.name.lower()) for entry in context.state.entries}
    found = []
    for kind, name in listed:
        if (kind, name.lower()) in known:
            continue
        entry = entry_of(context, kind, name)
        if entry is not None:
            found.append(entry)
    return without_trials(found, context.state.all("tuning"))


def endpoint_by_name(context: LaunchContext, found: list[Entry]) -> list[Entry]:
    """The recipe's endpoint where notes and tags lack it: the tags of a young one come late.

    An endpoint of this name without the recipe's tag belongs to someone else; a line says so.
    """
    name = context.recipe.endpoint_name
    entries = [*found, *context.state.all("endpoint")]
    if any(entry.kind == "endpoint" and entry.name.lower() == name.lower() for entry in entries):
        return []
    answer = endpoint_or_none(context, name)
    if answer is None:
        return []
    if not is_of_recipe(context, answer["EndpointArn"]):
        context.print(
            f"an endpoint {name} is {answer['EndpointStatus']}, but it has not the tag "
            f"{RECIPE_TAG}={context.recipe.name}: another recipe or program made it, "
            "and it is left alone"
        )
        return []
    entry = endpoint_entry(context, name)
    if entry is None:
        return []
    return [entry]


def is_of_recipe(context: LaunchContext, arn: str) -> bool:
    return tags_of(context, arn).get(RECIPE_TAG) == context.recipe.name


def named(context: LaunchContext) -> list[tuple[str, str]]:
    """(kind, name) of everything of SageMaker that has a name of the recipe's, and its tag."""
    found = []
    wanted = {slug(context.recipe.name)[:NAME_PART], context.recipe.endpoint_name[:NAME_PART]}
    wanted |= {slug(search.name)[:NAME_PART] for search in searches(context.recipe)}
    for kind, (operation, answers, field) in LISTS.items():
        for part in sorted(wanted):
            for answer in all_pages(context, operation, answers, NameContains=part):
                arn = str(answer[field.replace("Name", "Arn")])
                thing = (kind, str(answer[field]))
                if thing not in found and is_of_recipe(context, arn):
                    found.append(thing)
    return found


def named_elsewhere(context: LaunchContext) -> list[tuple[str, str]]:
    """(kind, name) of the recipe's stack and alarms, by the names that `launch` gives them."""
    found = []
    try:
        stack = stack_or_none(context, stack_name(context.recipe))
        for tag in (stack or {}).get("Tags", []):
            if (tag["Key"], tag["Value"]) == (RECIPE_TAG, context.recipe.name):
                found.append(("api", stack_name(context.recipe)))
        names = [alarm_name(context.recipe), wake_alarm_name(context.recipe)]
        answer = context.ask("cloudwatch", "DescribeAlarms", AlarmNames=names)
        found += [("alarm", alarm["AlarmName"]) for alarm in answer.get("MetricAlarms", [])]
    except Exception as error:
        if code_of(error) not in NOT_ALLOWED:
            raise
        context.print(f"{sentence(error)}; a page or an alarm of the recipe may be left")
    return found


def all_pages(
    context: LaunchContext, operation: str, answers: str, **request: object
) -> list[Response]:
    """What a List… operation of SageMaker answers in its field `answers`, of all its pages."""
    found: list[Response] = []
    page_token: dict[str, str] = {}
    while True:
        page = context.ask("sagemaker", operation, **request, **page_token)
        found += page.get(answers, [])
        if not page.get("NextToken"):
            return found
        page_token = {"NextToken": page["NextToken"]}


def tagged(context: LaunchContext) -> list[tuple[str, str]]:
    """(kind, name) of everything with the recipe's tag; SageMaker's ARNs have small letters."""
    request = {
        "TagFilters": [{"Key": RECIPE_TAG, "Values": [context.recipe.name]}],
        "ResourceTypeFilters": ["sagemaker", "cloudwatch:alarm", "cloudformation:stack"],
    }
    found = []
    page_token: dict[str, str] = {}
    while True:
        page = context.ask("resourcegroupstaggingapi", "GetResources", **request, **page_token)
        for resource in page.get("ResourceTagMappingList", []):
            kind, name = kind_and_name(resource["ResourceARN"])
            if kind:
                found.append((kind, name))
        if not page.get("PaginationToken"):
            return found
        page_token = {"PaginationToken": page["PaginationToken"]}


def kind_and_name(arn: str) -> tuple[str, str]:
    """The kind of our notes, empty for none, and the name in an ARN."""
    # arn:partition:service:region:account:type/name, or :type:name. A stack's goes on with /id.
    parts = arn.split(":", 5)
    kind, _, name = parts[5].replace(":", "/", 1).partition("/")
    found = KIND_OF.get((parts[2], kind), "")
    if found == "api":
        name = name.partition("/")[0]
    return found, name


def entry_of(context: LaunchContext, kind: str, name: str) -> Entry | None:
    """An entry of a thing as AWS describes it; None where it was deleted meanwhile."""
    if kind == "endpoint":
        return endpoint_entry(context, name)
    if kind == "api":
        return Entry(kind, name, "") if stack_or_none(context, name) else None
    if kind not in DESCRIBE:
        # These cost nothing, and `delete` passes over those that are gone.
        return Entry(kind, name, "")
    answer = describe_or_none(context, kind, name)
    if answer is None:
        return None
    exact = str(answer[DESCRIBE[kind][1]])
    facts = {}
    if kind == "tuning":
        facts["search"] = search_of(context, exact)
    if kind == "processing":
        facts["step"] = step_in(answer)
    return Entry(kind, exact, started(answer), facts)


def endpoint_entry(context: LaunchContext, name: str) -> Entry | None:
    answer = endpoint_or_none(context, name)
    # One that goes away needs no note: `delete` has just taken it out.
    if answer is None or answer["EndpointStatus"] == "Deleting":
        return None
    facts = {"config": answer["EndpointConfigName"]}
    return Entry("endpoint", answer["EndpointName"], started(answer), facts)


def started(answer: Response) -> str:
    """When a thing was made, as our notes have it."""
    return str(answer["CreationTime"].astimezone(UTC).isoformat(timespec="seconds"))


def search_of(context: LaunchContext, name: str) -> str:
    """The recipe's search that a tuning job ran; empty for none that the recipe still has."""
    for search in searches(context.recipe):
        if name in [tuning_name(search.name, name[-length:]) for length in STAMP_LENGTHS]:
            return search.name
    return ""


def without_trials(found: list[Entry], known: list[Entry]) -> list[Entry]:
    """The entries without the trainings of searches: those are noted as the search alone."""
    searched = [entry.name for entry in [*found, *known] if entry.kind == "tuning"]
    kept = []
    for entry in found:
        is_trial = any(entry.name.startswith(f"{name}-") for name in searched)
        if entry.kind != "training" or not is_trial:
            kept.append(entry)
    return kept
