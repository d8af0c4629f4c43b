"""The template of the API: valid, and with five permissions."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jobs import REPOSITORY
from tests.support.stacks import resources


@pytest.mark.slow
def test_the_template_passes_cfn_lint():
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        pytest.skip("cfn-lint is not installed here")
    done = subprocess.run(
        [program, REPOSITORY / "web" / "aws" / "template.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_function_may_do_five_things_and_no_more():
    template = resources()
    [policy] = template["Resources"]["Role"]["Properties"]["Policies"]
    statements = [
        entry[1] if isinstance(entry, list) else entry
        for entry in policy["PolicyDocument"]["Statement"]
    ]
    actions = {str(statement["Action"]): statement["Resource"] for statement in statements}
    assert set(actions) == {
        "sagemaker:InvokeEndpoint",
        "['logs:CreateLogStream', 'logs:PutLogEvents']",
        "s3:GetObject",
        "s3:ListBucket",
        "kms:Decrypt",
    }
    assert actions["sagemaker:InvokeEndpoint"].endswith(":endpoint/${EndpointArnName}")
    assert actions["kms:Decrypt"] == "SamplesKeyArn"
    assert statements[0]["Condition"][1] == {
        "StringEquals": {"sagemaker:TargetModel": "TargetModel"}
    }
    assert actions["s3:GetObject"].endswith("${SamplesBucket}/${SamplesPrefix}*")
    assert statements[3]["Condition"] == {"StringLike": {"s3:prefix": "${SamplesPrefix}*"}}
    assert "ManagedPolicyArns" not in template["Resources"]["Role"]["Properties"]
    routes = {
        name: entry["Properties"]
        for name, entry in template["Resources"].items()
        if entry["Type"] == "AWS::ApiGatewayV2::Route"
    }
    closed = {route["RouteKey"] for route in routes.values() if "AuthorizationType" in route}
    stage = template["Resources"]["Stage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": "RequestsPerSecond",
        "ThrottlingBurstLimit": "RequestBurst",
    }
    log_format = re.sub(r":(\$[\w.]+)", r':"\1"', stage["AccessLogSettings"]["Format"])
    assert json.loads(log_format)["status"] == "$context.status"
    cors = template["Resources"]["Api"]["Properties"]["CorsConfiguration"]
    assert cors[1]["AllowOrigins"] == "AllowedOrigins"
    assert closed == {
        *("POST /classify", "POST /saliency", "POST /getyogaapp"),
        *("GET /sample", "GET /labels"),
    }
    # never a whole bucket
    assert template["Rules"]["OnePrefix"]["Assertions"][0]["Assert"] == [["SamplesPrefix", ""]]
    pattern = template["Parameters"]["SamplesPrefix"]["AllowedPattern"]
    for prefix, taken in (
        ("photos/", True),
        ("", True),
        ("/", False),
        ("photos", False),
        ("*/", False),
        ("${aws:userid}/", False),
    ):
        assert bool(re.fullmatch(pattern, prefix)) == taken, prefix
