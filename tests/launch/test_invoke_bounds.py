"""Photos of `invoke`: where they are looked for, how large they may be, and how long one waits."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from launch import invoke as invokes
from launch.answers import Photo
from launch.errors import LaunchError
from launch.invoke import ask_now, find_photos, reason, refusal, wait_for
from tests.support.launching import ScriptedAws, prediction, streamed

LIMITS = {
    "real-time": 6 * 1024**2,
    "multi-model": 6 * 1024**2,
    "serverless": 4_000_000,
    "async": 1_000_000_000,
}


def test_the_limits_are_sagemakers():
    assert invokes.LIMIT == LIMITS
    assert invokes.CLIENTS == 4
    assert invokes.ASYNC_TIMEOUT_S == 900


@pytest.mark.parametrize(
    "kind, text",
    [("real-time", "6.3 MB"), ("multi-model", "6.3 MB"), ("serverless", "4.0 MB")],
)
def test_a_photo_may_be_as_large_as_the_limit(colours, tmp_path, kind, text):
    one = colours(kind, target="a.tar.gz")
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"0" * LIMITS[kind])
    one.answer("sagemaker-runtime", "invoke_endpoint", {"Body": streamed(prediction())})
    assert ask_now(one.context, Photo(str(photo))) == prediction()
    photo.write_bytes(b"0" * (LIMITS[kind] + 1))
    expected = rf"it has {text}; {kind} endpoints take {text} \(async ones 1 GB\)"
    with pytest.raises(LaunchError, match=expected):
        ask_now(one.context, Photo(str(photo)))


def test_photos_are_found_in_files_folders_and_prefixes(colours, tmp_path):
    one = colours()
    (tmp_path / "f/deep").mkdir(parents=True)
    for name in ("f/b.JPG", "f/deep/a.png", "f/notes.txt", "odd.xyz"):
        (tmp_path / name).touch()
    keys = [{"Key": "p/a.jpg"}, {"Key": "p/notes.txt"}, {"Key": "p/B.PNG"}]
    wanted = {"Bucket": "b", "Prefix": "p/"}
    one.answer("s3", "list_objects_v2", {"Contents": keys}, wanted)
    given = [str(tmp_path / "f"), str(tmp_path / "odd.xyz"), "s3://b/p/", "s3://b/x.jpg"]
    assert [photo.where for photo in find_photos(one.context, given)] == [
        str(tmp_path / "f/b.JPG"),
        str(tmp_path / "f/deep/a.png"),
        str(tmp_path / "odd.xyz"),
        "s3://b/p/a.jpg",
        "s3://b/p/B.PNG",
        "s3://b/x.jpg",
    ]


def test_a_prefix_without_photos_is_an_error_and_a_dry_run_does_not_look(colours):
    one = colours()
    one.answer("s3", "list_objects_v2", {})
    with pytest.raises(LaunchError, match=r"there are no photos in s3://b/p/ \(looked for JPEG, "):
        find_photos(one.context, ["s3://b/p/"])
    one.context.dry = True
    assert find_photos(one.context, ["s3://b/p/"]) == [Photo("s3://b/p/")]


@pytest.mark.parametrize(
    "kind, operation", [("real-time", "InvokeEndpoint"), ("async", "PutObject")]
)
def test_a_dry_run_asks_nothing_of_photos(colours, photos, kind, operation):
    where = str(photos / "blue/blue 0.jpg")
    one = colours(kind, photos=[where])
    one.context.dry = True
    assert invokes.invoke(one.context) == 0
    assert one.printed == []
    assert one.context.calls[0].operation == operation
    assert one.context.calls[0].request["Body"] == where
    assert not {"s3", "sagemaker-runtime"} & set(one.context.clients)


def test_other_errors_of_a_photo_end_the_command(colours, monkeypatch):
    one = colours(photos=["s3://b/a.jpg"])
    one.stub("s3")
    one.stub("sagemaker-runtime")

    def broken(context: object, photo: Photo) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(invokes, "ask_now", broken)
    with pytest.raises(ZeroDivisionError):
        invokes.invoke(one.context)


def test_one_refusal_among_answers_ends_with_1(colours, monkeypatch):
    one = colours(photos=["s3://b/a.jpg", "s3://b/b.jpg"])
    one.stub("s3")
    one.stub("sagemaker-runtime")

    def ask(context: object, photo: Photo) -> bytes:
        if photo.where.endswith("b.jpg"):
            raise LaunchError("too large")
        return prediction()

    monkeypatch.setattr(invokes, "ask_now", ask)
    assert invokes.invoke(one.context) == 1
    assert one.printed[1].split() == ["b/a.jpg", "blue", "0.9000", "green", "0.0600"]
    assert one.printed[2] == "b/b.jpg  failed: too large"


@pytest.fixture
def clock(monkeypatch):
    """The time that the wait sees, in seconds; each look at it takes 300 s."""
    times = iter(range(0, 10_000, 300))
    monkeypatch.setattr(invokes, "time", SimpleNamespace(monotonic=lambda: next(times)))


def missing(one: ScriptedAws, count: int) -> None:
    for _ in range(count):
        one.refuse("s3", "get_object", "NoSuchKey")


def test_an_answer_is_waited_for_900_s(colours, clock):
    one = colours("async")
    missing(one, 4)  # at 300 and at 600 s, each for the output and the failure
    with pytest.raises(LaunchError, match="no answer came to s3://b/out within 900 s"):
        wait_for(one.context, "s3://b/out", "s3://b/failed")
    one.finished()


def test_without_a_place_of_failures_only_the_output_is_looked_for(colours, clock):
    one = colours("async")
    missing(one, 2)
    with pytest.raises(LaunchError, match="no answer came"):
        wait_for(one.context, "s3://b/out", "")
    one.finished()


def test_a_refused_look_at_an_answer_is_raised(colours):
    one = colours("async")
    one.refuse("s3", "get_object", "AccessDenied", "no")
    with pytest.raises(ClientError):
        wait_for(one.context, "s3://b/out", "")


@pytest.mark.parametrize(
    "text, found",
    [
        ('{"error": "no photo"}', "no photo"),
        ('{"other": 1}', '{"other": 1}'),
        ("[1]", "[1]"),
        (" plain \n", "plain"),
    ],
)
def test_a_containers_sentence_is_taken_from_its_json(text, found):
    assert reason(text) == found


def test_a_refusal_is_the_containers_where_it_gave_one():
    answer: Any = {"Error": {"Code": "ModelError", "Message": "m"}}
    assert refusal(ClientError(answer, "I")) == "I answered ModelError: m"
    answer |= {"OriginalMessage": '{"error": "no"}', "OriginalStatusCode": 400}
    assert refusal(ClientError(answer, "I")) == "400: no"
    assert refusal(LaunchError("too large")) == "too large"
