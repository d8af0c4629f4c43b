"""SDK v2's processing jobs in containers: a script over shards, on two hosts."""

from pathlib import Path

import boto3
from rows import BUCKET, PHOTOS, ROLE, TRAIN_IMAGE, row, tell
from sagemaker.processing import (
    FrameworkProcessor,
    ProcessingInput,
    ProcessingOutput,
    ScriptProcessor,
)
from sagemaker.pytorch import PyTorch

CODE = Path("count.py")
CODE.write_text(
    """
import json, os, sys
from pathlib import Path
host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
found = [str(path) for path in Path("/opt/ml/processing/in").rglob("*.jpg")]
Path("/opt/ml/processing/out", f"{host}.txt").write_text(f"{sys.argv[1]} {len(found)}")
""",
    encoding="utf-8",
)

with row("ScriptProcessor.run, two hosts, ShardedByS3Key, wait, logs"):
    processor = ScriptProcessor(
        role=ROLE,
        image_uri=TRAIN_IMAGE,
        command=["/opt/venv/bin/python"],
        instance_count=2,
        instance_type="ml.m5.large",
        base_job_name="count",
    )
    processor.run(
        code=str(CODE),
        inputs=[
            ProcessingInput(
                source=f"{PHOTOS}/validation",
                destination="/opt/ml/processing/in",
                s3_data_distribution_type="ShardedByS3Key",
            )
        ],
        outputs=[
            ProcessingOutput(source="/opt/ml/processing/out", destination=f"s3://{BUCKET}/counted")
        ],
        arguments=["photos"],
    )
    s3 = boto3.client("s3")
    entries = s3.list_objects_v2(Bucket=BUCKET, Prefix="counted/")["Contents"]
    texts = [s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in entries]
    assert sorted(texts) == [b"photos 3", b"photos 3"]

with row("ProcessingJob.describe"):
    assert processor.latest_job.describe()["ProcessingJobStatus"] == "Completed"

with row("FrameworkProcessor.run, source_dir with a module beside the script"):
    source = Path("framework")
    source.mkdir(exist_ok=True)
    (source / "beside.py").write_text("WORD = 'beside'\n", encoding="utf-8")
    (source / "write.py").write_text(
        """
import sys
from pathlib import Path
from beside import WORD
Path("/opt/ml/processing/out/found.txt").write_text(f"{WORD} {sys.argv[1]}")
""",
        encoding="utf-8",
    )
    framework = FrameworkProcessor(
        estimator_cls=PyTorch,
        framework_version="2.1",
        py_version="py310",
        image_uri=TRAIN_IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        command=["/opt/venv/bin/python"],
    )
    target = f"s3://{BUCKET}/framework"
    framework.run(
        code="write.py",
        source_dir=str(source),
        outputs=[ProcessingOutput(source="/opt/ml/processing/out", destination=target)],
        arguments=["argument"],
    )
    text = s3.get_object(Bucket=BUCKET, Key="framework/found.txt")["Body"].read()
    assert text == b"beside argument"

tell()
