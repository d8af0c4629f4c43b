"""Processing jobs in containers: a user's own script, and our preparation of the training image."""

import json

import pytest

from tests.local_sagemaker.test_processing import ROOT, ended, given_input, given_output, job, jpeg
from tests.local_sagemaker.test_processing import keys as keys_below
from tests.support.sagemakers import BUCKET, local_sagemaker, moto

pytestmark = [pytest.mark.docker, pytest.mark.verify]
# What ScriptProcessor sends: the script is an input, and the command its entrypoint.
SCRIPT = f"""
import json, os, pathlib, sys
config = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())
job = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
host = config["current_host"]
found = sorted(path.name for path in pathlib.Path("{ROOT}/data").iterdir())
answer = dict(host=host, hosts=config["hosts"], found=found, word=os.environ["WORD"],
              arguments=sys.argv[1:], job=job["ProcessingJobName"])
pathlib.Path("{ROOT}/out", host + ".json").write_text(json.dumps(answer))
pathlib.Path("/opt/ml/output/message").write_text("all is well")
print("done on", host)
if sys.argv[1:] == ["fail"]:
    raise RuntimeError("no more paper")
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, images):
    state = tmp_path_factory.mktemp("state")
    with moto() as url, local_sagemaker(state, url, engine="docker") as made:
        yield made


def script(name: str, *words: str, hosts: int = 1) -> dict:
    request = job(
        name,
        list(words),
        hosts,
        Environment={"WORD": "hello"},
        ProcessingInputs=[
            given_input("code", "code/"),
            given_input("data", "data/", S3DataDistributionType="ShardedByS3Key"),
        ],
        ProcessingOutputConfig={"Outputs": [given_output("out", f"out/{name}/")]},
    )
    program = {**request["AppSpecification"]}
    program["ContainerEntrypoint"] = ["python3", f"{ROOT}/code/script.py"]
    return {**request, "AppSpecification": program}


def test_a_script_runs_on_two_hosts(cloud):
    s3 = cloud.client("s3")
    sagemaker = cloud.client("sagemaker")
    s3.put_object(Bucket=BUCKET, Key="code/script.py", Body=SCRIPT.encode())
    for name in ("a", "b", "c"):
        s3.put_object(Bucket=BUCKET, Key=f"data/{name}", Body=b"x")
    sagemaker.create_processing_job(**script("script", "one", hosts=2))
    found = ended(sagemaker, "script")
    assert found["ProcessingJobStatus"] == "Completed", found.get("FailureReason")
    assert found["ExitMessage"] == "all is well"
    answers = [
        json.loads(s3.get_object(Bucket=BUCKET, Key=f"out/script/{key}")["Body"].read())
        for key in keys_below(s3, "out/script/")
    ]
    assert [answer["host"] for answer in answers] == ["algo-1", "algo-2"]
    assert [answer["found"] for answer in answers] == [["a", "c"], ["b"]]
    assert answers[0]["hosts"] == ["algo-1", "algo-2"]
    assert answers[0]["word"] == "hello"
    assert answers[0]["arguments"] == ["one"]
    assert answers[0]["job"] == "script"
    sagemaker.create_processing_job(**script("failing", "fail"))
    found = ended(sagemaker, "failing")
    assert found["ProcessingJobStatus"] == "Failed"
    assert "RuntimeError: no more paper, exit code: 1" in found["FailureReason"]
    assert not keys_below(s3, "out/failing/")


def test_our_training_image_prepares(cloud):
    s3 = cloud.client("s3")
    sagemaker = cloud.client("sagemaker")
    for label in ("x", "y"):
        for number in range(6):
            seed = number + 10 * (label == "y")
            s3.put_object(Bucket=BUCKET, Key=f"raw/{label}/{number}.jpg", Body=jpeg(seed))
    sagemaker.create_processing_job(
        **job(
            "prepare",
            [f"{ROOT}/photos", f"{ROOT}/prepared", "--split", "0.5,0.25,0.25"],
            ProcessingInputs=[given_input("photos", "raw/")],
            ProcessingOutputConfig={"Outputs": [given_output("prepared", "prepared/")]},
            NetworkConfig={"EnableNetworkIsolation": True},
        )
    )
    found = ended(sagemaker, "prepare")
    assert found["ProcessingJobStatus"] == "Completed", found.get("FailureReason")
    assert "report.html" in keys_below(s3, "prepared/")
