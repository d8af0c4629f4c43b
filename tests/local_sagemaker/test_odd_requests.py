"""Requests that no client sends: each gets an error of SageMaker's, and none an error 500.

The requests of the second half are drawn at random, with a fixed seed: the operations' own shapes
with wrong values here and there.
"""

import json
import random
from typing import Any

import pytest

from local_sagemaker import contract, lifecycle, objects
from local_sagemaker.aws import quotas, tagged
from local_sagemaker.server import OPERATIONS
from tests.support.odd_requests import MODEL, WHOLE, Here, change, drawn, input_shape
from tests.support.sagemakers import until

pytestmark = pytest.mark.slow

NO_S3 = {
    # Port 9: nobody answers.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",
}
# Lists of one thing's parts, which must be there.
OF_ONE = ("ListTrainingJobsForHyperParameterTuningJob", "ListPipelineExecutionSteps")
LISTS = sorted(name for name in OPERATIONS if name.startswith("List"))
# Fixed: each run draws the same.
SEED = 18
RUNS = 40  # of each operation
CODES = {
    "SerializationException",
    "ValidationException",
    "ResourceNotFound",
    "ResourceInUse",
    "NoSuchResourceException",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The app in this process; its S3 answers nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NO_S3.items():
            patch.setenv(name, value)
        # A client keeps the address that it was made with.
        objects._client.cache_clear()
        here = Here(tmp_path_factory.mktemp("state"))
        yield here
        lifecycle.close(here.platform)
    objects._client.cache_clear()


@pytest.fixture
def here(app):
    app.fill()
    return app


def asked(name: str) -> dict[str, str]:
    """What a list operation must be asked, beside its filters."""
    if name == "ListTags":
        return {"ResourceArn": MODEL}
    if name == "ListTrainingJobsForHyperParameterTuningJob":
        return {"HyperParameterTuningJobName": "a"}
    return {}


ODD: list[tuple[dict[str, Any], str]] = [
    ({"NextToken": "²"}, "ValidationException"),
    # An Arabic digit, which Python's int() takes.
    ({"NextToken": "٣"}, "ValidationException"),
    ({"NextToken": "9" * 5000}, "ValidationException"),
    ({"NextToken": "-1"}, "ValidationException"),
    ({"NextToken": 1}, "SerializationException"),
    ({"MaxResults": True}, "SerializationException"),
    # More than a float can hold.
    ({"MaxResults": 10**400}, "SerializationException"),
    ({"MaxResults": 2**31}, "SerializationException"),
    ({"MaxResults": 0}, "ValidationException"),
    ({"MaxResults": 1.5}, "SerializationException"),
    ({"CreationTimeAfter": 1e300}, "SerializationException"),
    ({"CreationTimeAfter": -1e300}, "SerializationException"),
    ({"CreationTimeBefore": 10**30}, "SerializationException"),
    ({"CreationTimeAfter": float("nan")}, "SerializationException"),
    ({"CreationTimeAfter": float("inf")}, "SerializationException"),
    ({"CreationTimeAfter": "2020-01-01"}, "SerializationException"),
    ({"CreationTimeAfter": True}, "SerializationException"),
    ({"LastModifiedTimeBefore": {}}, "SerializationException"),
    ({"NameContains": "\ud800"}, "SerializationException"),
    ({"NameContains": "a\0b"}, "SerializationException"),
    ({"NameContains": ["a"]}, "SerializationException"),
    ({"SortBy": "Size"}, "ValidationException"),
    ({"unknown\ud800": 1}, "SerializationException"),
    ({"unknown": float("nan")}, "SerializationException"),
]


@pytest.mark.parametrize("name", LISTS)
def test_odd_filters_of_a_list_are_refused(here, name):
    members = input_shape(name).members
    for odd, code in ODD:
        [field] = odd
        # Each list has filters of its own.
        if field not in members and not field.startswith("unknown"):
            continue
        body = json.dumps({**asked(name), **odd}).encode()
        status, answer = here.send(f"SageMaker.{name}", body)
        found = answer["__type"]
        fine = {code, "ValidationException"}
        if name in OF_ONE:
            fine.add("ResourceNotFound")
        assert status == 400 and found in fine, (odd, answer)
        if code == "SerializationException":
            assert found == code, (odd, answer)


@pytest.mark.parametrize(
    "body",
    [
        # A reader that calls itself would run out of stack.
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"NameContains": ' + b"[" * 100 + b"]" * 100 + b"}",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b"{",
        b"{}{}",
        # Python reads no integer of so many digits.
        b"1" * 5000,
        b'{"MaxResults": ' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize("target", ["SageMaker.ListModels", quotas.TARGET, tagged.TARGET])
def test_what_is_no_json_object_is_refused(here, body, target):
    status, answer = here.send(target, body)
    assert (status, answer["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    "name, value",
    [
        ("InvocationTimeoutSeconds", "²"),
        ("InvocationTimeoutSeconds", "1e300"),
        ("InvocationTimeoutSeconds", "nan"),
        ("InvocationTimeoutSeconds", "0"),
        ("InvocationTimeoutSeconds", "9" * 5000),
        ("RequestTTLSeconds", "-1"),
        ("InputLocation", "ftp://a/b"),
        ("Inference-Id", "x" * 2000),
    ],
)
def test_odd_headers_of_an_asynchronous_request_are_refused(here, name, value):
    path = "/endpoints/a/async-invocations"
    # HTTP sends headers in latin-1.
    headers = {f"X-Amzn-SageMaker-{name}": value.encode().decode("latin-1")}
    status, answer = here.send("", b"x", path, **headers)
    assert (status, answer["__type"]) == (400, "ValidationError")
    assert "validation error detected" in answer["message"]


@pytest.mark.parametrize("code", [None, 1, [], {}, "x" * 10_000, "\ud800"])
def test_quotas_of_odd_services(here, code):
    status, answer = here.send(quotas.TARGET, json.dumps({"ServiceCode": code}).encode())
    assert status == 400 and answer["__type"] in ("SerializationException", "ValidationException")
    # The answer must not repeat all that was sent.
    assert len(answer["message"]) < 1000


@pytest.mark.parametrize(
    "request_",
    [
        {"TagFilters": [1]},
        {"TagFilters": {"Key": "a"}},
        {"TagFilters": [{"Key": 1}]},
        {"TagFilters": [{"Key": "a", "Values": "b"}]},
        {"TagFilters": [{"Values": [[]]}]},
        {"ResourceTypeFilters": 1},
        {"ResourceTypeFilters": [None]},
    ],
)
def test_odd_filters_of_tagged_resources_are_refused(here, request_):
    status, answer = here.send(tagged.TARGET, json.dumps(request_).encode())
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_filters_may_be_null_or_none(here):
    for body in (b"{}", b'{"TagFilters": null}', b'{"TagFilters": [{}]}', b""):
        assert here.send(tagged.TARGET, body)[0] == 200


def test_an_answer_shows_no_more_than_the_start_of_a_value(here):
    body = json.dumps({"ModelName": "-" * 2_000_000}).encode()
    status, answer = here.send("SageMaker.DescribeModel", body)
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert len(answer["message"]) < 5000


def test_null_and_unknown_members_are_as_good_as_none():
    given = {
        "ModelName": "a",
        "ModelArn": "x",
        "VpcConfig": None,
        "PrimaryContainer": {"Image": None},
    }
    assert contract.check("CreateModel", given) == {"ModelName": "a", "PrimaryContainer": {}}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_drawn_request_is_an_error_500(here, name):
    draw = random.Random(f"{SEED} {name}")
    shape = input_shape(name)
    for run in range(RUNS):
        # Most of a request stays right, so that it comes past the first check.
        request = drawn(shape, draw, (0.0, 0.02, 0.1, 0.3)[run % 4])
        status, answer = here.send(f"SageMaker.{name}", json.dumps(request).encode())
        assert status == 200 or answer["__type"] in CODES, (request, answer)


@pytest.mark.parametrize("runs", [12, pytest.param(40, marks=pytest.mark.verify)])
@pytest.mark.parametrize("name", sorted(WHOLE))
def test_no_changed_request_is_an_error_500(here, name, runs):
    """A request that is right but for what the store lacks, with a few changes at random places."""
    draw = random.Random(f"{SEED} {name}")
    shape = input_shape(name)
    taken = 0
    for run in range(runs):
        request = json.loads(json.dumps(WHOLE[name]).replace("NUMBER", str(run)))
        # Unchanged ones, too: some must come as far as the work.
        for _ in range(draw.choice((0, 1, 1, 2, 4))):
            change(shape, request, draw)
        status, answer = here.send(f"SageMaker.{name}", json.dumps(request).encode())
        assert status == 200 or answer["__type"] in CODES, (request, answer)
        taken += status == 200
    assert taken, "no request came as far as the work"
    # Endpoints stay; all else must end.
    until(lambda: not any(kind != "endpoint" for kind, _ in here.platform.running))
    for kind in ("training-job", "transform-job", "hyper-parameter-tuning-job"):
        for record in here.platform.store.all(kind):
            assert "InternalServerError" not in str(record.get("FailureReason")), record
    for listing in LISTS:
        here.send(f"SageMaker.{listing}", json.dumps(asked(listing)).encode())
