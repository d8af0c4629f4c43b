"""Pipelines of local SageMaker: what a definition may be, in which order its steps run, and how."""

import json
from typing import Any

import pytest

from local_sagemaker import contract, folders, lifecycle, server
from local_sagemaker.contract import ApiError
from local_sagemaker.pipelines.pipeline_definition import read
from local_sagemaker.platform import Platform
from runtime.container_engine import choose_container_engine
from tests.support.sagemakers import ROLE, SERVE_IMAGE, until

REGION = "eu-west-1"
TOKEN = "t" * 32


class Server:
    """Operations as a request asks for them, on one folder."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.archive = folder / "model.tar.gz"
        self.archive.write_bytes(b"an archive")
        self.start_again()

    def start_again(self) -> None:
        self.platform = Platform(self.folder / "state", choose_container_engine("process"))
        lifecycle.resume(self.platform)

    def __call__(self, name: str, **request: object) -> dict[str, Any]:
        asked = contract.check(name, request)
        return contract.answer(name, server.OPERATIONS[name](self.platform, asked, REGION))

    def create(self, *steps: object, parameters: tuple[object, ...] = ()) -> None:
        text = document(*steps, parameters=parameters)
        fixed = {"ClientRequestToken": TOKEN, "RoleArn": ROLE}
        self("CreatePipeline", PipelineName="Way", PipelineDefinition=text, **fixed)

    def ended(self, **parameters: str) -> dict[str, Any]:
        """An execution that was started and has ended; with its steps, the first first."""
        given = [{"Name": name, "Value": value} for name, value in parameters.items()]
        started = self(
            "StartPipelineExecution",
            PipelineName="Way",
            ClientRequestToken=TOKEN + "".join(parameters.values()),
            PipelineParameters=given,
        )
        return self.outcome(started["PipelineExecutionArn"])

    def outcome(self, arn: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            found = self("DescribePipelineExecution", PipelineExecutionArn=arn)
            return None if found["PipelineExecutionStatus"] == "Executing" else found

        found = until(over)
        listed = self("ListPipelineExecutionSteps", PipelineExecutionArn=arn, SortOrder="Ascending")
        found["Steps"] = listed["PipelineExecutionSteps"]
        return found

    def model(self, name: str, **more: object) -> dict[str, object]:
        """A step that makes a model at once."""
        container = {"Image": SERVE_IMAGE, "ModelDataUrl": self.archive.as_uri()}
        arguments = {"PrimaryContainer": container, "ExecutionRoleArn": ROLE}
        return {"Name": name, "Type": "Model", "Arguments": arguments, **more}


def document(*steps: object, parameters: tuple[object, ...] = (), **more: object) -> str:
    whole = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)}
    return json.dumps({**whole, **more})


@pytest.fixture
def sagemaker(tmp_path):
    folders.allow([tmp_path])
    return Server(tmp_path)


SHARE = {"Name": "Share", "Type": "Float", "DefaultValue": 0.9}
LEAST = {"Type": "GreaterThanOrEqualTo", "LeftValue": {"Get": "Parameters.Share"}}


def branching(sagemaker: Server) -> None:
    """Make; then, by the parameter, Register or Stop with the model's name."""
    inference = {
        "Containers": [{"Image": SERVE_IMAGE, "ModelDataUrl": sagemaker.archive.as_uri()}],
        "SupportedContentTypes": ["image/jpeg"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": "ways",
            "InferenceSpecification": inference,
            "ModelPackageDescription": {"Get": "Steps.Make.ModelName"},
        },
    }
    words = ["share", {"Get": "Parameters.Share"}, {"Get": "Steps.Make.ModelName"}]
    fail = {
        "Name": "Stop",
        "Type": "Fail",
        "Arguments": {"ErrorMessage": {"Std:Join": {"On": " ", "Values": words}}},
    }
    condition = {
        "Name": "Good",
        "Type": "Condition",
        "DependsOn": ["Make"],
        "Arguments": {
            "Conditions": [{**LEAST, "RightValue": 0.8}],
            "IfSteps": [register],
            "ElseSteps": [fail],
        },
    }
    # In another order than they run.
    sagemaker.create(condition, sagemaker.model("Make"), parameters=(SHARE,))


def test_steps_run_in_their_order_and_one_branch_of_a_condition(sagemaker):
    branching(sagemaker)
    good = sagemaker.ended()
    assert good["PipelineExecutionStatus"] == "Succeeded"
    assert [step["StepName"] for step in good["Steps"]] == ["Make", "Good", "Register"]
    assert good["Steps"][1]["Metadata"] == {"Condition": {"Outcome": "True"}}
    arn = good["Steps"][2]["Metadata"]["RegisterModel"]["Arn"]
    package = sagemaker("DescribeModelPackage", ModelPackageName=arn)
    made = good["Steps"][0]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert package["ModelPackageDescription"].lower() == made  # an ARN has small letters
    assert made.startswith("pipelines-")
    bad = sagemaker.ended(Share="0.5")
    assert bad["PipelineExecutionStatus"] == "Failed"
    assert bad["FailureReason"] == "Step failure: One or multiple steps failed."
    assert [step["StepName"] for step in bad["Steps"]] == ["Make", "Good", "Stop"]
    assert bad["Steps"][2]["FailureReason"].startswith("share 0.5 pipelines-")
    listed = sagemaker("ListPipelineExecutions", PipelineName="Way")["PipelineExecutionSummaries"]
    assert [one["PipelineExecutionStatus"] for one in listed] == ["Failed", "Succeeded"]
    [shown] = sagemaker(
        "ListPipelineParametersForExecution", PipelineExecutionArn=bad["PipelineExecutionArn"]
    )["PipelineParameters"]
    assert shown == {"Name": "Share", "Value": "0.5"}


def test_a_refused_request_fails_its_step_and_a_retry_goes_on_there(sagemaker):
    late = sagemaker.model("Late", DependsOn=["Make"])
    sagemaker.create(sagemaker.model("Make"), late)
    sagemaker.archive.rename(sagemaker.folder / "away")
    failed = sagemaker.ended()
    [step] = failed["Steps"]
    said = "ClientError: Failed to invoke sagemaker:CreateModel. Error Details: Could not find"
    assert step["FailureReason"].startswith(said)
    (sagemaker.folder / "away").rename(sagemaker.archive)
    arn = failed["PipelineExecutionArn"]
    sagemaker("RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)
    again = sagemaker.outcome(arn)
    assert again["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in again
    with pytest.raises(ApiError, match="Only an execution that is Executing can be stopped"):
        sagemaker("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)


def test_a_duration_of_a_cache_is_checked_when_it_is_made(sagemaker):
    for wrong in ("soon", "P", ""):
        cached = {**PLAIN, "CacheConfig": {"Enabled": True, "ExpireAfter": wrong}}
        with pytest.raises(ApiError, match="must be a duration such as P30D or PT12H; found"):
            sagemaker.create(cached)


def test_pipelines_are_kept_changed_and_deleted(sagemaker):
    branching(sagemaker)
    sagemaker.ended()
    sagemaker("UpdatePipeline", PipelineName="Way", PipelineDescription="mine")
    with pytest.raises(ApiError, match=r"with name \(Way\) already exists"):
        sagemaker(
            "CreatePipeline",
            PipelineName="Way",
            PipelineDefinition=document(sagemaker.model("Make")),
            ClientRequestToken="u" * 32,
            RoleArn=ROLE,
        )
    # An execution that the end of the server cut off has failed.
    [run] = sagemaker.platform.store.all("pipeline-execution")
    sagemaker.platform.store.change(
        "pipeline-execution", run["Id"], PipelineExecutionStatus="Executing"
    )
    sagemaker.start_again()
    found = sagemaker("DescribePipeline", PipelineName="Way")
    assert found["PipelineDescription"] == "mine"
    assert found["LastRunTime"]
    [one] = sagemaker("ListPipelineExecutions", PipelineName=found["PipelineArn"])[
        "PipelineExecutionSummaries"
    ]
    assert "the local server ended" in one["PipelineExecutionFailureReason"]
    assert len(sagemaker("ListPipelines", PipelineNamePrefix="W")["PipelineSummaries"]) == 1
    sagemaker("DeletePipeline", PipelineName="Way", ClientRequestToken=TOKEN)
    with pytest.raises(ApiError, match="Pipeline 'Way' does not exist") as caught:
        sagemaker("DescribePipeline", PipelineName="Way")
    assert caught.value.code == "ResourceNotFound"
    with pytest.raises(ApiError, match="Pipeline 'Way' does not exist"):
        sagemaker("ListPipelineExecutions", PipelineName="Way")


PLAIN = {"Name": "A", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}
LAMBDA = {"Name": "A", "Type": "Lambda", "Arguments": {}}


def saying(expression: object) -> str:
    """A definition whose only step says the value of an expression."""
    return document({**PLAIN, "Arguments": {"ErrorMessage": expression}})


def parameter(**parts: object) -> str:
    """A definition with a parameter B that has these parts."""
    return document(PLAIN, parameters=({"Name": "B", "Type": "String", **parts},))


WRONG = [
    (saying({"Get": "Steps"}), "gets 'Steps', which nothing here has"),
    (saying({"Std:Join": 5}), "needs the list Values and a text On"),
    (saying({"Std:Join": {"Values": "ab"}}), "needs the list Values and a text On"),
    (saying({"Std:JsonGet": {"Path": "a"}}), "needs a text Path, and S3Uri or a PropertyFile"),
    (saying({"Std:JsonGet": {"S3Uri": "s3://b/k"}}), "needs a text Path"),
    (saying({"Std:JsonGet": {"PropertyFile": {"Get": "Steps.A"}, "Path": "a"}}), "PropertyFile"),
    (document({**PLAIN, "CacheConfig": 5}), "CacheConfig of the step 'A' must be a JSON object"),
    (parameter(EnumValues=5), "EnumValues of the parameter 'B' must be a list"),
    (parameter(DefaultValue=["x"]), "DefaultValue of the parameter 'B' must be of type String"),
    ("{", "PipelineDefinition is not JSON"),
    ("[]", "must be a JSON object with the list Steps"),
    (document(PLAIN, Version="1"), "must have the Version 2020-12-01"),
    (document(PLAIN, MlflowConfig={"a": "b"}), "MlflowConfig of pipelines is not done here"),
    (document(), "has no step"),
    (document(PLAIN, PLAIN), "Two steps have the name 'A'"),
    (document(LAMBDA), "'A' is of type Lambda, which is not done here; it does Processing, "),
    (document({**PLAIN, "Type": [1]}), "has a value of a wrong type"),
    (document({**PLAIN, "DependsOn": [{}]}), "has a value of a wrong type"),
    (document({**PLAIN, "RetryPolicies": [{}]}), "RetryPolicies of the step 'A' is not done here"),
    (document({**PLAIN, "Name": "a b"}), "needs a Name of 1 to 64 letters"),
    (document({**PLAIN, "DependsOn": ["B"]}), "depends on 'B', which is no step"),
    (document({**PLAIN, "DependsOn": ["A"]}), "Steps wait for each other: A, A"),
    (document({**PLAIN, "Arguments": {}}), "'A' needs an ErrorMessage"),
    (
        document({**PLAIN, "Arguments": {"ErrorMessage": {"Get": "Parameters.B"}}}),
        "gets 'Parameters.B': there is no 'B'",
    ),
    (document(PLAIN, parameters=({"Name": "B", "Type": "List"},)), "needs a Name and a Type of"),
    (
        document({"Name": "A", "Type": "Condition", "Arguments": {"Conditions": [{"Type": "If"}]}}),
        "has the Type If; it must be one of",
    ),
]


@pytest.mark.parametrize("text, sentence", WRONG)
def test_a_wrong_definition_is_refused_when_it_is_made(text, sentence):
    with pytest.raises(ApiError, match=sentence.replace("(", r"\(")):
        read(text)


def test_wrong_parameters_are_refused_at_the_start(sagemaker):
    kinds = {"Name": "Kind", "Type": "String", "EnumValues": ["a", "b"]}
    sagemaker.create(PLAIN, parameters=(SHARE, kinds))
    for given, sentence in (
        ({}, "'Kind' has no default: give its value"),
        ({"Kind": "c"}, "'Kind' must be one of a, b; found c"),
        ({"Kind": "a", "Share": "much"}, "'Share' must be of type Float; found 'much'"),
        ({"Kind": "a", "Share": "1e999"}, "'Share' must be of type Float; found '1e999'"),
        ({"Other": "x"}, "The pipeline has no parameter 'Other'"),
    ):
        with pytest.raises(ApiError, match=sentence):
            sagemaker.ended(**given)
