"""Transform jobs on local SageMaker: each photo through a real server."""

import gzip
import itertools
import json
from typing import Any

import pytest

from local_sagemaker.jobs.records import TooLarge, assemble, batches, unpacked
from tests.support.sagemakers import BUCKET, Client, until
from tests.support.servers import b64, photo


def ended(sagemaker: Client, name: str) -> dict[str, Any]:
    """DescribeTransformJob once the job has ended."""

    def record_at_the_end() -> dict[str, Any] | None:
        record: dict[str, Any] = sagemaker.describe_transform_job(TransformJobName=name)
        return None if record["TransformJobStatus"] in ("InProgress", "Stopping") else record

    return until(record_at_the_end)


@pytest.mark.slow
def test_a_transform_job_answers_photos_and_json_lines(sagemaker, hosting):
    s3 = hosting.client("s3")
    for colour in ("red", "green"):
        s3.put_object(Bucket=BUCKET, Key=f"batch/{colour}.jpg", Body=photo(colour))
    # Two records in one object.
    lines = b""
    for colour in ("blue", "red"):
        asked = {"instances": [{"b64": b64(photo(colour))}]}
        lines += json.dumps({"id": colour, "photo": asked}).encode() + b"\n"
    s3.put_object(Bucket=BUCKET, Key="lines/all.jsonl", Body=lines)
    source = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/"}
        },
        "ContentType": "image/jpeg",
    }
    by_line = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/lines/"}
        },
        "ContentType": "application/json",
        "SplitType": "Line",
    }
    common = {
        "ModelName": "good",
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "SingleRecord",
    }
    sagemaker.create_transform_job(
        TransformJobName="photos",
        TransformInput=source,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/answers"},
        **common,
    )
    sagemaker.create_transform_job(
        TransformJobName="lines",
        TransformInput=by_line,
        **common,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/answers", "AssembleWith": "Line"},
        DataProcessing={
            "InputFilter": "$.photo",
            "OutputFilter": "$['id','SageMakerOutput']",
            "JoinSource": "Input",
        },
    )
    sagemaker.create_transform_job(
        TransformJobName="filled",
        TransformInput=by_line,
        **{**common, "BatchStrategy": "MultiRecord"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/filled", "AssembleWith": "Line"},
        DataProcessing={"InputFilter": "$.photo"},
    )
    for name in ("photos", "lines", "filled"):
        found = ended(sagemaker, name)
        assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")

    def answers(key: str, prefix: str = "answers") -> list[Any]:
        text = s3.get_object(Bucket=BUCKET, Key=f"{prefix}/{key}.out")["Body"].read().decode()
        return [json.loads(line) for line in text.splitlines()]

    def labels(key: str, prefix: str = "answers") -> list[str]:
        found = [answer.get("SageMakerOutput", answer) for answer in answers(key, prefix)]
        return [answer["predictions"][0]["label"] for answer in found]

    assert labels("red.jpg") == ["red"]
    assert labels("green.jpg") == ["green"]
    assert labels("all.jsonl") == ["blue", "red"]
    assert [answer["id"] for answer in answers("all.jsonl")] == ["blue", "red"]
    assert labels("all.jsonl", "filled") == ["blue", "red"]


@pytest.mark.slow
def test_a_transform_job_is_stopped(sagemaker):
    source = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/models/"}
        },
        "ContentType": "image/jpeg",
    }
    sagemaker.create_transform_job(
        TransformJobName="stopped",
        ModelName="good",
        TransformInput=source,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/answers"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    sagemaker.stop_transform_job(TransformJobName="stopped")
    assert ended(sagemaker, "stopped")["TransformJobStatus"] == "Stopped"
    listed = sagemaker.list_transform_jobs(StatusEquals="Stopped")["TransformJobSummaries"]
    assert [job["TransformJobName"] for job in listed] == ["stopped"]


def test_records_of_a_transform():
    # An empty line is no record, and the last line may lack its end.
    content = b'{"a": 1}\n\n{"b": 2}\n{"c": 3}'
    assert batches(content, "None", "MultiRecord", 100) == [content]
    assert batches(content, "Line", "SingleRecord", 100) == [b'{"a": 1}', b'{"b": 2}', b'{"c": 3}']
    assert batches(content, "Line", "MultiRecord", 20) == [b'{"a": 1}\n{"b": 2}\n', b'{"c": 3}\n']
    with pytest.raises(TooLarge, match="record 1 has 9 bytes"):
        batches(content, "Line", "SingleRecord", 5)
    assert assemble([b"1", b"2\n"], "Line") == b"1\n2\n"
    assert assemble([b"1", b"2"], "None") == b"12"


def test_only_a_line_feed_ends_a_line():
    content = b'\xef\xbb\xbf{"a":\r1}\r\n{"b": 2}\r\n \r\n{"c": 3}'
    records = [b'\xef\xbb\xbf{"a":\r1}', b'{"b": 2}', b'{"c": 3}']
    assert batches(content, "Line", "SingleRecord", 100) == records


def test_an_object_that_is_not_packed_as_the_request_says():
    packed = gzip.compress(b"a" * 1000)
    assert unpacked(packed, "Gzip", "s3://b/a") == b"a" * 1000
    for wrong in (b"plain", packed[:-9], packed[:12] + b"xxxx" + packed[16:]):
        with pytest.raises(TypeError, match="CompressionType is Gzip, and 's3://b/a' is not"):
            unpacked(wrong, "Gzip", "s3://b/a")


@pytest.mark.verify
def test_odd_lines_are_answered_in_order_in_every_combination(sagemaker, hosting):
    """A byte-order mark, \\r\\n, empty lines, a broken record, no end of the last line; packed."""
    s3 = hosting.client("s3")

    def record(colour: str) -> bytes:
        return json.dumps({"instances": [{"b64": b64(photo(colour))}]}).encode()

    lines = b"\xef\xbb\xbf" + record("blue") + b"\r\n\r\n" + record("red") + b"\n  \n"
    lines += b'{"instances": [{"b64"\n' + record("green")
    for name, content in (("plain", lines), ("packed", gzip.compress(lines))):
        s3.put_object(Bucket=BUCKET, Key=f"odd/{name}/all", Body=content)
    combinations = list(
        itertools.product(
            ("application/json", "application/jsonlines"),
            ("SingleRecord", "MultiRecord"),
            (("plain", "None"), ("packed", "Gzip")),
            ("Line", "None"),
        )
    )
    for number, (kind, strategy, (folder, compression), how) in enumerate(combinations):
        where = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/odd/{folder}/"}
        sagemaker.create_transform_job(
            TransformJobName=f"odd-{number}",
            ModelName="good",
            BatchStrategy=strategy,
            TransformInput={
                "DataSource": {"S3DataSource": where},
                "ContentType": kind,
                "SplitType": "Line",
                "CompressionType": compression,
            },
            TransformOutput={"S3OutputPath": f"s3://{BUCKET}/odd-{number}", "AssembleWith": how},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
        found = ended(sagemaker, f"odd-{number}")
        assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
        text = s3.get_object(Bucket=BUCKET, Key=f"odd-{number}/all.out")["Body"].read().decode()
        decoder = json.JSONDecoder()
        answers = []
        while text.strip():
            answer, end = decoder.raw_decode(text := text.lstrip())
            answers.append(answer)
            text = text[end:]
        combination = combinations[number]
        assert len(answers) == 4, (combination, answers)
        assert "not JSON" in json.dumps(answers[2]), (combination, answers)
        # JSON Lines have an answer per line, JSON documents a list of them in each
        firsts = [answer.get("predictions", [answer])[0] for answer in answers]
        labels = [firsts[place].get("label") for place in (0, 1, 3)]
        assert labels == ["blue", "red", "green"], (combination, answers)
