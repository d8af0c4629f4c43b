"""The chain of searches, checked by SageMaker's rules before the first paid hour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from launch.aws import Response
from launch.context import LaunchContext
from launch.errors import LaunchError
from launch.follow import status_of
from launch.jobs import describe_or_none
from launch.requests_training import common
from launch.state import Entry
from recipes.errors import RecipeError
from recipes.tuning import Tuning
from recipes.warm_start import EarlierJob, check_chain, check_same_sources


@dataclass(frozen=True)
class Earlier:
    """A search's tuning job that an earlier command started, as SageMaker describes it."""

    entry: Entry
    answer: Response


def check_searches(
    context: LaunchContext, chain: Sequence[Tuning], before: Mapping[str, Earlier | None]
) -> None:
    """LaunchError for a chain whose later searches SageMaker would refuse, hours later.

    before: the jobs of the chain that ran already, by search. A dry run takes parents that are not
    of the chain for good: it asks SageMaker nothing.
    """
    own = {search.name for search in chain}
    outside = set().union(*(search.parents for search in chain)) - own
    found = {name: known.answer for name, known in before.items() if known is not None}
    found |= outside_parents(context, outside)
    kept = list(chain)
    if context.dry:
        kept = [search for search in chain if not set(search.parents) & outside]
    try:
        check_chain(kept, {name: as_parent(name, answer) for name, answer in found.items()})
        for search in kept:
            ours = common(context.recipe, context.target, search.name)
            for parent in set(search.parents) & found.keys():
                theirs = found[parent].get("TrainingJobDefinition", {})
                check_same_sources(search, parent, ours, theirs)
    except RecipeError as error:
        raise LaunchError(f"the recipe '{context.recipe.path}': {error}") from error


def outside_parents(context: LaunchContext, wanted: set[str]) -> dict[str, Response]:
    """SageMaker's descriptions of parents that the chain does not run, where they are there."""
    names = {entry.facts.get("search"): entry.name for entry in context.state.all("tuning")}
    found = {}
    for parent in sorted(wanted):
        if context.dry:
            break
        answer = describe_or_none(context, "tuning", names.get(parent, parent))
        if answer:
            found[parent] = answer
    return found


def as_parent(name: str, answer: Response) -> EarlierJob:
    """SageMaker's description of a tuning job as a parent, under its search's name."""
    from tune.managed_form import ManagedError, tuning_job

    try:
        job = tuning_job(answer, [], {}, lambda _: "")
    except (ManagedError, KeyError) as error:
        raise LaunchError(f"the tuning job of '{name}' cannot be a parent: {error}") from error
    # A parent that still runs is waited for before its child starts.
    status = "Completed" if job.status == "InProgress" else job.status
    return replace(job, name=name, status=status)


def earlier(context: LaunchContext, search: str) -> Earlier | None:
    """The latest tuning job of a search if it runs or completed, else None; None with --again."""
    if context.dry or context.options.again:
        return None
    found = [entry for entry in context.state.all("tuning") if entry.facts.get("search") == search]
    if not found:
        return None
    answer = describe_or_none(context, "tuning", found[-1].name)
    if not answer or status_of("tuning", answer) in ("Failed", "Stopped"):
        return None
    return Earlier(found[-1], answer)
