"""Steps of tune: searches that ran before, pages of trials, lines of trials, options."""

import pytest

from launch import download, search
from launch.errors import LaunchError
from launch.search import trial_line, trials, tune
from launch.search_checks import Earlier, earlier
from launch.state import Entry
from tests.launch.test_search import trial as summary_of
from tests.launch.test_search import tuning
from tests.support.launching import ARN, ScriptedAws
from tune import managed
from tune.managed_form import ManagedError

LIST = {
    "HyperParameterTuningJobName": "s",
    "MaxResults": 100,
    "SortBy": "CreationTime",
    "SortOrder": "Ascending",
}


def described(one: ScriptedAws, status: str) -> None:
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", tuning(status))


def listed(one: ScriptedAws, *names: str, token: str = "", after: str = "") -> None:
    operation = "list_training_jobs_for_hyper_parameter_tuning_job"
    answer: dict[str, object] = {"TrainingJobSummaries": [summary_of(name, 0.5) for name in names]}
    if token:
        answer["NextToken"] = token
    request: dict[str, object] = dict(LIST)
    if after:
        request["NextToken"] = after
    one.answer("sagemaker", operation, answer, request)


def test_all_pages_of_trials_are_read(script):
    one = script()
    listed(one, "a", "b", token="more")
    listed(one, "c", after="more")
    found = trials(one.context, "s")
    assert [trial["TrainingJobName"] for trial in found] == ["a", "b", "c"]
    one.finished()


@pytest.mark.parametrize(
    "fields, text",
    [
        ({}, "trial t: Failed; no objective; "),
        ({"FailureReason": "no photos"}, "trial t: Failed; no photos; "),
        (
            {
                "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "a", "Value": 0.5},
                "TunedHyperParameters": {"lr": "1", "epochs": "2"},
            },
            "trial t: Failed; a=0.5000; epochs=2 lr=1",
        ),
    ],
)
def test_a_trial_in_one_line(fields, text):
    assert trial_line({"TrainingJobName": "t", "TrainingJobStatus": "Failed", **fields}) == text


def test_each_trial_and_state_is_printed_once(script):
    one = script()
    for status, names in (("InProgress", "a"), ("InProgress", "ab"), ("Completed", "abc")):
        described(one, status)
        # Each look brings the trials of before, too.
        listed(one, *names)
    assert search.wait(one.context, "s") == "Completed"
    lines = [line.partition(";")[0] for line in one.finished().splitlines()]
    assert lines == [
        "trial a: Completed",
        "s: InProgress",
        "trial b: Completed",
        "trial c: Completed",
        "s: Completed",
    ]


@pytest.mark.parametrize(
    "status, found",
    [("Completed", True), ("InProgress", True), ("Failed", False), ("Stopped", False)],
)
def test_a_search_that_failed_is_run_again(script, status, found):
    one = script()
    one.context.note("tuning", "s-1", search="demo")
    one.context.note("tuning", "s-2", search="demo")
    one.context.note("tuning", "x", search="other")
    described(one, status)
    # The latest of this search, whatever others came after it.
    entry = earlier(one.context, "demo")
    assert (entry is not None and entry.entry.name == "s-2") is found


def test_with_again_or_without_an_earlier_one_a_search_is_new(script):
    one = script()
    assert earlier(one.context, "demo") is None
    one.context.note("tuning", "s", search="demo")
    one.refuse(
        # SageMaker has forgotten it.
        "sagemaker",
        "describe_hyper_parameter_tuning_job",
        "ValidationException",
        "not found",
    )
    assert earlier(one.context, "demo") is None
    one.context.options.again = True
    assert earlier(one.context, "demo") is None
    one.context.options.again = False
    one.context.dry = True
    assert earlier(one.context, "demo") is None


@pytest.mark.parametrize(
    "status, no_wait, code, state",
    [
        ("Completed", False, 0, "completed"),
        ("InProgress", True, 0, "runs"),
        # A search that was stopped has results to go on from.
        ("Stopped", True, 0, "completed"),
        ("Stopped", False, 1, "completed"),
    ],
)
def test_an_earlier_search_is_followed(script, status, no_wait, code, state):
    one = script(no_wait=no_wait)
    described(one, status)
    if code:
        described(one, status)
        listed(one)
    assert search.follow_earlier(one.context, "demo", Entry("tuning", "s", "now")) == code
    assert one.finished().startswith(f"tune: demo {state} as s (--again runs it anew)")


def test_a_failed_earlier_search_ends_the_chain(script, monkeypatch):
    one = script()
    monkeypatch.setattr(
        search, "earlier", lambda context, name: Earlier(Entry("tuning", "s", "now"), {})
    )
    monkeypatch.setattr(search, "check_searches", lambda *given: None)
    monkeypatch.setattr(search, "follow_earlier", lambda context, name, known: 1)
    assert tune(one.context) == 1


def test_a_chain_without_waiting_stops_after_its_first_search(script):
    # Its budget is not what is tested.
    one = script("yoga_poses", no_wait=True, over_budget=True)
    answer = {"HyperParameterTuningJobArn": ARN}
    one.answer("sagemaker", "create_hyper_parameter_tuning_job", answer)
    assert tune(one.context) == 0
    assert one.finished().splitlines()[1:] == [
        "tune: `launch tune` continues the chain; `launch status` shows its state"
    ]
    # The note says which search of the chain it was.
    assert one.context.state.entries[0].facts == {"search": "yoga-1"}


@pytest.mark.parametrize("wanted, count", [("", 4), ("yoga-3", 1)])
def test_a_dry_run_shows_the_wanted_searches(script, wanted, count):
    one = script("yoga_poses", search=wanted, over_budget=True)
    one.context.dry = True
    assert tune(one.context) == 0
    assert len(one.context.calls) == count


def test_a_search_that_the_recipe_lacks(script):
    one = script(search="none")
    with pytest.raises(LaunchError, match="demo.yaml' has no tuning 'none'$"):
        tune(one.context)


def test_a_search_that_cannot_be_read_is_one_sentence(script, monkeypatch, tmp_path):
    def fails(*_: object, **__: object) -> None:
        raise ManagedError("no objective")

    monkeypatch.setattr(managed, "read_managed", fails)
    one = script()
    one.stub("sagemaker")
    one.stub("logs")
    with pytest.raises(LaunchError, match="^no objective$"):
        download.tuning_report(one.context, "s", tmp_path)
    one.context.dry = True
    assert download.tuning_report(one.context, "s", tmp_path) == 0
    assert len(one.context.calls) == 2
