"""What `launch delete` takes away, and what it waits for before."""

import pytest

from launch.errors import LaunchError
from launch.removal import delete
from launch.state import State
from tests.support.launching import JOB, training


def test_delete_asks_first(script, monkeypatch):
    one = script()
    one.context.note("endpoint", "demo")
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert delete(one.context) == 1
    assert one.finished().endswith("delete: nothing was removed")
    assert len(one.context.state.entries) == 1


def test_delete_waits_for_what_still_writes_to_s3(script):
    one = script(yes=True, data=True)
    one.context.note("training", JOB)
    rules = [
        {"RuleConfigurationName": "Overfit", "RuleEvaluationStatus": status}
        for status in ("InProgress", "InProgress", "IssuesFound")
    ]
    one.no_endpoint()
    one.no_versions()
    one.answer("sagemaker", "describe_training_job", training("Stopping"))
    for rule in rules:
        one.answer(
            "sagemaker",
            "describe_training_job",
            training("Completed", DebugRuleEvaluationStatuses=[rule]),
        )
    one.answer(
        "s3",
        "list_objects_v2",
        {"Contents": [{"Key": "slipway/demo/data/a", "Size": 1, "ETag": '"1"'}]},
    )
    one.answer("s3", "delete_objects", {})
    assert delete(one.context) == 0
    assert [
        line for line in one.finished().splitlines() if "waiting" in line or "removed" in line[-8:]
    ] == [
        f"delete: waiting for {JOB}; it would write removed objects again",
        f"delete: waiting for Overfit of {JOB}; it would write removed objects again",
        "delete: 1 objects removed",
    ]


def test_delete_with_data_refuses_while_a_job_runs(script):
    running = script(yes=True, data=True)
    running.context.note("training", JOB)
    running.context.note("endpoint", "demo")
    running.no_versions()
    running.answer("sagemaker", "describe_training_job", training("InProgress", "Training"))
    with pytest.raises(
        LaunchError,
        match=f"the training job {JOB} still runs and would write removed objects again; "
        "`launch stop` ends it",
    ):
        delete(running.context)
    running.finished()
    assert [entry.name for entry in running.context.state.entries] == [JOB, "demo"]


def test_a_renamed_recipes_endpoint_is_named(script):
    """The notes of its old name lie beside the new ones."""
    one = script(yes=True)
    State(one.context.state.path.parent / "old.json", "old").add("endpoint", "old", "now")
    State(one.context.state.path.parent / "jobs.json", "jobs").add("training", "a", "now")
    one.no_endpoint()
    assert delete(one.context) == 0
    assert one.finished().splitlines()[-1] == (
        "delete: the notes here of the recipe 'old' have endpoint old; if that was this recipe's "
        "name before, give it back, and run `launch delete` again"
    )
