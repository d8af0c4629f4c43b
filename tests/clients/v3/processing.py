"""SDK v3's processing jobs in containers: ScriptProcessor on two hosts, FrameworkProcessor."""

from pathlib import Path

import boto3
from rows import BUCKET, PHOTOS, ROLE, TRAIN_IMAGE, row, tell
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)

CODE = Path("processing3")
CODE.mkdir(exist_ok=True)
(CODE / "count.py").write_text(
    """
import json, sys
from pathlib import Path
host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
found = [str(path) for path in Path("/opt/ml/processing/in").rglob("*.jpg")]
Path("/opt/ml/processing/out", f"{host}.txt").write_text(f"{sys.argv[1]} {len(found)}")
""",
    encoding="utf-8",
)
(CODE / "beside.py").write_text("WORD = 'beside'\n", encoding="utf-8")
(CODE / "write.py").write_text(
    """
import sys
from pathlib import Path
from beside import WORD
Path("/opt/ml/processing/out/found.txt").write_text(f"{WORD} {sys.argv[1]}")
""",
    encoding="utf-8",
)
PYTHON = ["/opt/venv/bin/python"]
s3 = boto3.client("s3")


def output(name: str) -> ProcessingOutput:
    target = ProcessingS3Output(
        s3_uri=f"s3://{BUCKET}/{name}",
        local_path="/opt/ml/processing/out",
        s3_upload_mode="EndOfJob",
    )
    return ProcessingOutput(output_name="out", s3_output=target)


with row("ScriptProcessor.run, two hosts, ShardedByS3Key, wait, logs"):
    processor = ScriptProcessor(
        role=ROLE,
        image_uri=TRAIN_IMAGE,
        command=PYTHON,
        instance_count=2,
        instance_type="ml.m5.large",
        base_job_name="count3",
    )
    source = ProcessingS3Input(
        s3_uri=f"{PHOTOS}/validation",
        s3_data_type="S3Prefix",
        local_path="/opt/ml/processing/in",
        s3_input_mode="File",
        s3_data_distribution_type="ShardedByS3Key",
    )
    processor.run(
        code=str(CODE / "count.py"),
        inputs=[ProcessingInput(input_name="photos", s3_input=source)],
        outputs=[output("counted3")],
        arguments=["photos"],
    )
    entries = s3.list_objects_v2(Bucket=BUCKET, Prefix="counted3/")["Contents"]
    texts = [s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in entries]
    assert sorted(texts) == [b"photos 3", b"photos 3"]

with row("FrameworkProcessor.run, source_dir with a module beside the script"):
    framework = FrameworkProcessor(
        role=ROLE,
        image_uri=TRAIN_IMAGE,
        command=PYTHON,
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="framework3",
    )
    framework.run(
        code="write.py",
        source_dir=str(CODE),
        outputs=[output("framework3")],
        arguments=["argument"],
    )
    text = s3.get_object(Bucket=BUCKET, Key="framework3/found.txt")["Body"].read()
    assert text == b"beside argument"

tell()
