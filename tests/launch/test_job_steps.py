"""Steps of jobs: starting, finding, following; the best trial."""

import pytest
from botocore.exceptions import ClientError

from launch import jobs
from launch.errors import LaunchError
from launch.recipe import read_recipe
from launch.requests_training import training_job
from tests.support.launching import ARN, JOB, training

REQUEST = {"TrainingJobName": JOB}
DESCRIBED = {
    "HyperParameterTuningJobName": "s",
    "HyperParameterTuningJobArn": ARN,
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
    },
    "HyperParameterTuningJobStatus": "InProgress",
    "CreationTime": 0,
    "TrainingJobStatusCounters": {},
    "ObjectiveStatusCounters": {},
}
DEFINITION = {
    "StaticHyperParameters": {"model": "m", "lr": "7"},
    "AlgorithmSpecification": {"TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/Role",
    "OutputDataConfig": {"S3OutputPath": "s3://b/"},
    "StoppingCondition": {},
}


@pytest.mark.parametrize(
    "status, code", [("Completed", 0), ("Failed", 1), ("Stopped", 1), ("InProgress", 1)]
)
def test_only_a_completed_job_ends_with_0(status, code):
    assert jobs.exit_code(status) == code


@pytest.mark.parametrize(
    "status, found",
    [("InProgress", True), ("Stopping", True), ("Completed", False), ("Stopped", False)],
)
def test_the_latest_job_is_unfinished_while_it_runs(script, status, found):
    one = script()
    one.context.note("training", "old")
    # Only the latest counts.
    one.context.note("training", JOB)
    one.answer("sagemaker", "describe_training_job", training(status), REQUEST)
    entry = jobs.unfinished(one.context, "training")
    assert (entry is not None) is found


def test_nothing_is_unfinished_with_again_in_a_dry_run_or_before_the_first(script):
    one = script()
    assert jobs.unfinished(one.context, "training") is None
    one.context.note("training", JOB)
    one.context.options.again = True
    assert jobs.unfinished(one.context, "training") is None
    one.context.options.again = False
    one.context.dry = True
    assert jobs.unfinished(one.context, "training") is None
    one.context.dry = False
    # SageMaker has forgotten the job.
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    assert jobs.unfinished(one.context, "training") is None


def test_a_refused_look_at_a_job_is_raised(script):
    one = script()
    one.refuse("sagemaker", "describe_training_job", "AccessDeniedException", "no")
    with pytest.raises(ClientError):
        jobs.describe_or_none(one.context, "training", JOB)


def test_the_chosen_job_is_the_named_one_or_the_latest(script):
    one = script()
    for kind, name in (("training", "a"), ("tuning", "b"), ("training", "c")):
        one.context.note(kind, name)
    assert jobs.chosen(one.context, "training", "tuning").name == "c"
    assert jobs.chosen(one.context, "tuning").name == "b"
    one.context.options.job = "a"
    assert jobs.chosen(one.context, "tuning", "training").kind == "training"
    # A job of another machine can be named: nothing here knows its kind.
    one.context.options.job = "elsewhere"
    found = jobs.chosen(one.context, "tuning", "training")
    assert (found.kind, found.name) == ("tuning", "elsewhere")


def test_a_dry_run_names_the_next_job(script):
    one = script()
    with pytest.raises(LaunchError, match="no training job was started here for demo; name one"):
        jobs.chosen(one.context, "training")
    one.context.dry = True
    assert jobs.chosen(one.context, "training", "tuning").name == JOB
    assert jobs.chosen(one.context, "training", "tuning").kind == "training"


@pytest.mark.parametrize("code, kept", [("ResourceInUse", True), ("ResourceLimitExceeded", False)])
def test_a_job_is_noted_before_it_is_asked_for(script, code, kept):
    one = script()
    # ResourceInUse: an earlier command, which was interrupted, has made the job.
    one.refuse("sagemaker", "create_training_job", code, "no")
    if kept:
        own = {"Key": "slipway:attempt", "Value": one.context.attempt}
        one.answer("sagemaker", "list_tags", {"Tags": [own]})
    wanted = training_job(one.context.recipe, one.context.target, JOB)
    if kept:
        jobs.start(one.context, "training", JOB, "CreateTrainingJob", wanted, search="s")
        assert one.printed == [f"started: training job {JOB}"]
        assert one.context.state.entries[0].facts == {"search": "s"}
        return
    with pytest.raises(ClientError):
        jobs.start(one.context, "training", JOB, "CreateTrainingJob", wanted)
    # A refused job must not be looked for later.
    assert one.context.state.entries == []
    assert one.printed == []


@pytest.mark.parametrize(
    "error, refused",
    [
        (LaunchError("SageMaker Debugger has no rules in moon-1"), True),
        (LaunchError("the debugger is broken"), False),
        (ValueError("debugger has no rules"), False),
        # These errors have no code of their own: the message must say so.
        (ClientError({"Error": {"Code": "X", "Message": "DebugRule: no"}}, "C"), True),
        (ClientError({"Error": {"Code": "X", "Message": "No Profiler here"}}, "C"), True),
        (ClientError({"Error": {"Code": "X", "Message": "no machine"}}, "C"), False),
    ],
)
def test_refusals_of_debugger(error, refused):
    assert jobs.refuses_debugger(error) is refused


def test_other_refusals_of_a_training_are_raised_at_once(script):
    one = script(no_wait=True)
    one.refuse("sagemaker", "create_training_job", "ResourceLimitExceeded", "no machine")
    with pytest.raises(ClientError, match="no machine"):
        jobs.train(one.context)
    one.finished()


@pytest.mark.parametrize(
    "status, artifacts, printed",
    [
        ("Completed", {"S3ModelArtifacts": "s3://b/m"}, ["model: s3://b/m"]),
        (
            "Stopped",
            {"S3ModelArtifacts": ""},
            # The answer for a stopped job has no artifact, but the place is known.
            ["model: s3://photos/p/output/j/output/model.tar.gz"],
        ),
        ("Failed", {"S3ModelArtifacts": "s3://b/m"}, []),
    ],
)
def test_a_training_that_did_not_fail_has_a_model(colours, status, artifacts, printed):
    one = colours()
    path = one.context.recipe.path
    path.write_text("name: a\nsagemaker: {bucket: photos, prefix: p}\n")
    one.context.recipe = read_recipe(path)
    one.answer("sagemaker", "describe_training_job", training(status, ModelArtifacts=artifacts))
    one.logged()
    jobs.finish(one.context, "training", "j")
    assert one.printed == [f"j: {status}", *printed]


def test_without_waiting_the_job_continues(script):
    one = script(no_wait=True)
    assert jobs.finish(one.context, "training", "j") == 0
    path = one.context.recipe.path
    assert one.printed == [
        f"the job continues: `python -m launch status {path}` and `logs` show it"
    ]


@pytest.mark.parametrize(
    "best, overall, found",
    [("a", None, "a"), ("a", "b", "b"), (None, "b", "b")],
)
def test_the_overall_best_trial_comes_first(script, best, overall, found):
    def trial(name: str) -> dict[str, object]:
        needed = {"TrainingJobArn": ARN, "CreationTime": 0, "TrainingJobStatus": "Completed"}
        return {**needed, "TrainingJobName": name, "TunedHyperParameters": {"lr": name}}

    one = script()
    one.context.note("tuning", "s")
    answer = {**DESCRIBED, "TrainingJobDefinition": DEFINITION}
    if best:
        answer["BestTrainingJob"] = trial(best)
    if overall:
        # A search that learns from others may have its best trial in one of them.
        answer["OverallBestTrainingJob"] = trial(overall)
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", answer)
    assert jobs.best_trial(one.context) == (found, {"model": "m", "lr": found})


def test_without_a_search_or_a_result_there_is_no_best_trial(script):
    one = script()
    with pytest.raises(LaunchError, match="no search was started here for demo"):
        jobs.best_trial(one.context)
    one.context.note("tuning", "s")
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", DESCRIBED)
    with pytest.raises(LaunchError, match="the search s has no trial with an objective yet"):
        jobs.best_trial(one.context)
    one.context.dry = True
    assert jobs.best_trial(one.context) == ("best-of-s", {})
