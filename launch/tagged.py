"""What AWS has of a recipe, found by its tag: for when the notes in out/launch were lost.

Everything that `launch` makes carries the tag slipway:recipe; the trainings of a search carry the
search's.
"""

from datetime import UTC

from launch.aws import Response
from launch.context import LaunchContext
from launch.follow import DESCRIBE
from launch.jobs import describe_or_none, endpoint_or_none
from launch.recipe import searches
from launch.requests_training import RECIPE_TAG
from launch.requests_tuning import tuning_name
from launch.requests_update import scaling
from launch.stacks import stack_or_none
from launch.state import Entry

# By an ARN's service and type of resource: the kind of our notes.
KIND_OF = {
    ("sagemaker", "training-job"): "training",
    ("sagemaker", "hyper-parameter-tuning-job"): "tuning",
    ("sagemaker", "transform-job"): "transform",
    ("sagemaker", "model"): "model",
    ("sagemaker", "endpoint-config"): "config",
    ("sagemaker", "endpoint"): "endpoint",
    ("cloudwatch", "alarm"): "alarm",
    ("cloudformation", "stack"): "api",
}
# Of the time in a job's name, at its end: 261121-181500.
STAMP_LENGTH = 13


def recall(context: LaunchContext) -> list[Entry]:
    """Find what the notes lack in the recipe's region, and note it; the new entries.

    A dry run shows the request.
    """
    known = {(entry.kind, entry.name.lower()) for entry in context.state.entries}
    found = []
    for kind, name in tagged(context):
        if (kind, name.lower()) in known:
            continue
        entry = entry_of(context, kind, name)
        if entry is not None:
            found.append(entry)
    found = without_trials(found, context.state.all("tuning"))
    if any(entry.kind == "endpoint" for entry in found) and scaling(context.recipe):
        # It has no ARN that says its name; the notes have the endpoint's.
        found.append(Entry("scaling", context.recipe.endpoint_name, ""))
    if found:
        context.state.recall(found)
    return found


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
    return Entry(kind, exact, started(answer), facts)


def endpoint_entry(context: LaunchContext, name: str) -> Entry | None:
    answer = endpoint_or_none(context, name)
    if answer is None:
        return None
    facts = {"config": answer["EndpointConfigName"]}
    return Entry("endpoint", answer["EndpointName"], started(answer), facts)


def started(answer: Response) -> str:
    """When a thing was made, as our notes have it."""
    return str(answer["CreationTime"].astimezone(UTC).isoformat(timespec="seconds"))


def search_of(context: LaunchContext, name: str) -> str:
    """The recipe's search that a tuning job ran; empty for none that the recipe still has."""
    for search in searches(context.recipe):
        if tuning_name(search.name, name[-STAMP_LENGTH:]) == name:
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
