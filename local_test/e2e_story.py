"""The story of the end-to-end run: from photos and images to an endpoint, and all of it removed."""

import json
from pathlib import Path
from typing import Any

import boto3
import yaml

from local_sagemaker.access.own_requests import signed
from local_sagemaker.aws import account, cloud
from local_test.e2e_steps import Steps, group_of, must, until
from recipes.document import read_document
from runtime.processes import REPOSITORY

RECIPE = REPOSITORY / "recipes" / "demo.yaml"
NAME = "e2e"
IMAGES = ("train", "serve")
CHANNELS = ("train", "validation", "test")
PHOTOS_PER_CLASS = 16
EPOCHS = 12
TRIAL_EPOCHS = 2
HYPERPARAMETERS = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "trainable": "all",
    "image_size": 64,
    "epochs": EPOCHS,
    "batch_size": 32,
    "optimizer": "adamw",
    "lr": 0.001,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 2,
    "label_smoothing": 0.1,
    "precision": "float32",
    "quantize": False,  # it takes a minute, and has tests of its own
    "seed": 0,
}
RANGES = {
    "lr": {"type": "Continuous", "min": 0.0003, "max": 0.01, "scale": "Logarithmic"},
    "batch_size": {"values": [16, 32]},
}
INTERRUPT_AFTER_EPOCH = 3


def begin(steps: Steps, bucket: str, registry: str) -> None:
    """Photos, the account's role and bucket, the images, the photos in S3, and checks of all."""
    photos = steps.out / "photos"
    prepared = steps.out / "prepared"
    images = steps.out / "images.json"
    count = ("--photos-per-class", str(PHOTOS_PER_CLASS))
    steps.python("draw", "local_test.stick_figures", str(photos), *count)
    split = ("--split", "0.6,0.2,0.2")
    steps.python("prepare", "prepare", str(photos), str(prepared), *split)
    text = yaml.safe_dump(recipe(images, prepared), sort_keys=False)
    steps.recipe.write_text(text, encoding="utf-8")
    with steps.step("account", f"boto3: the role SlipwayRole, the bucket {bucket}"):
        account.make_role("SlipwayRole")
        account.make_bucket(bucket, cloud.REGION)
    if registry:
        variables = (f"REGISTRY={registry}", "DIRTY=1", f"OUT={images}")
        wanted = ("push: serve=", "push: train=")
        steps.run("push", "env", *variables, "./build_and_push.sh", *IMAGES, see=wanted)
    else:
        push_manifests(steps, images)
    steps.launch("check", see=("is empty; run `python -m launch upload", "check: .* 0 failed"))
    steps.launch("cost", see=("tuning e2e-2, at most",))
    steps.launch("upload", see=("upload: test: s3://",))
    unchanged = ("train: 0 new or changed",)
    steps.launch("upload", see=unchanged, what="again")
    steps.launch("check", see=("ok +channel train", "check: .* 0 failed"))


def recipe(images: Path, prepared: Path) -> dict[str, Any]:
    """The demo's recipe, learnt in steps: two searches, spot machines, a real-time endpoint."""
    document: dict[str, Any] = read_document(RECIPE)
    [search] = document["tuning"]
    channels = {name: str(prepared / name) for name in CHANNELS}
    sagemaker = {
        "region": cloud.REGION,
        "images": str(images),
        "channels": channels,
        "training": {
            "instance_type": "ml.m5.xlarge",
            "spot": True,
            "max_run_s": 3600,
            "expected_s": 300,
        },
        "endpoint": {"instance_type": "ml.m5.large", "max_instances": 2, "bake_s": 5},
        # each step: LossNotDecreasing needs ten losses, and the training has twelve steps or more
        "debugger": {"train_interval": 1},
    }
    return {
        **document,
        "name": NAME,
        "tuning": two_searches(search),
        "hyperparameters": HYPERPARAMETERS,
        "sagemaker": sagemaker,
    }


def two_searches(search: dict[str, Any]) -> list[dict[str, Any]]:
    """Two short searches like the given one; the second starts from the first."""
    first = {
        **search,
        "name": "e2e-1",
        "strategy": "Bayesian",
        "early_stopping": "Auto",
        "ranges": RANGES,
        "budgets": {"jobs": 2, "parallel": 2},
        "hyperparameters": {"epochs": TRIAL_EPOCHS, "warmup_epochs": 1},
    }
    second = {
        **first,
        "name": "e2e-2",
        "parents": ["e2e-1"],
        "warm_start": "IdenticalDataAndAlgorithm",
        # With the first search's seed it would draw the same values again.
        "seed": 1,
    }
    return [first, second]


def push_manifests(steps: Steps, images: Path) -> None:
    """Without an engine: the manifests that ECR would have after a push."""
    host = steps.python("registry", "launch.ecr", "registry").strip()
    for image in IMAGES:
        repository = f"slipway-{image}"
        steps.python("repository", "launch.ecr", "repository", host, repository)
        account.put_image(repository, NAME)
        uri = f"{host}/{repository}:{NAME}"
        steps.python("push", "launch.ecr", "publish", image, uri, "--out", str(images))


def search_and_train(steps: Steps) -> None:
    """The chain of searches, a training that loses its machine, one under the debugger, reports."""
    wanted = ("tuning job e2e-1-", "tuning job e2e-2-", "e2e-2-.*: Completed; Completed=2")
    steps.launch("tune", see=wanted)
    with steps.step("warm start", "boto3: the second search started from the first"):
        check_warm_start()
    steps.launch("report", see=("e2e-1", r"report: \S+report.html"))
    train_with_interruption(steps)
    printed = steps.launch("debug", see=("Completed",))
    watched = group_of(r"started: training job (\S+)", printed)
    with steps.step("rules", "boto3: the debugger's and profiler's rules are judged"):
        until(
            lambda: "InProgress" not in judged(watched).values(),
            f"the rules of {watched} are not judged",
        )
        answers = judged(watched)
        must(answers, "no rules", answers)
        must("Error" not in answers.values(), "a rule could not judge", answers)
    pages = ("profiler-report.html", "report: measured through the artifact")
    steps.launch("report", see=pages)


def check_warm_start() -> None:
    """The newest second search has the first as its parent, and a best job over both."""
    sagemaker = boto3.client("sagemaker")
    listed = sagemaker.list_hyper_parameter_tuning_jobs(NameContains="e2e-2-")
    newest = listed["HyperParameterTuningJobSummaries"][0]["HyperParameterTuningJobName"]
    search = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=newest)
    [parent] = search["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
    from_first = parent["HyperParameterTuningJobName"].startswith("e2e-1-")
    must(from_first, "the second search has another parent", search)
    must(search["OverallBestTrainingJob"], "no best job over both searches", search)


def train_with_interruption(steps: Steps) -> None:
    """A spot training that loses its machine, and goes on from its checkpoint."""
    started = steps.launch("train", "--no-wait", see=("the job continues",))
    job = group_of(r"started: training job (\S+)", started)
    path = f"/local/training-jobs/{job}/interrupt"
    with steps.step("interrupt", f"POST {path}, after epoch {INTERRUPT_AFTER_EPOCH}"):
        until(
            lambda: f"epoch={INTERRUPT_AFTER_EPOCH} " in printed_by(job),
            f"no epoch {INTERRUPT_AFTER_EPOCH} of {job}",
        )
        signed("POST", path)
    wanted = (
        "still runs; following it",
        "going on from the checkpoint of epoch",
        f"{job}: Completed",
        f"epoch={EPOCHS} ",
    )
    steps.launch("train", see=wanted, what="train on")
    record = boto3.client("sagemaker").describe_training_job(TrainingJobName=job)
    states = [entry["Status"] for entry in record["SecondaryStatusTransitions"]]
    must("Interrupted" in states, "no interruption", states)
    must(states[-1] == "Completed", "not completed after the interruption", states)


def printed_by(job: str) -> str:
    """What a training has printed, as CloudWatch has it."""
    logs = boto3.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")
    text = ""
    for stream in found["logStreams"]:
        name = stream["logStreamName"]
        page = logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)
        text += "".join(f"{event['message']} \n" for event in page["events"])
    return text


def judged(job: str) -> dict[str, str]:
    """The rules of a training, and the status of each."""
    record = boto3.client("sagemaker").describe_training_job(TrainingJobName=job)
    rules = [*record["DebugRuleEvaluationStatuses"], *record["ProfilerRuleEvaluationStatuses"]]
    return {rule["RuleConfigurationName"]: rule["RuleEvaluationStatus"] for rule in rules}


def host(steps: Steps, bucket: str) -> None:
    """The endpoint, its answers, another model on it, a transform job, and everything removed."""
    test = steps.out / "prepared" / "test"
    steps.launch("register", see=("registered: arn:.*/1 is PendingManualApproval",))
    steps.launch("approve", see=("approve: arn:.*/1 is Approved",))
    steps.launch("packages", see=("1 +Approved +test_accuracy=",))
    steps.launch("deploy", "--package", "latest", see=(f"{NAME} is InService",))
    before = boto3.client("sagemaker").describe_endpoint(EndpointName=NAME)
    check_accuracy(steps, test)
    wanted = ("best of e2e-2-", f"{NAME} is InService")
    steps.launch("deploy", "--best", see=wanted, what="update")
    after = boto3.client("sagemaker").describe_endpoint(EndpointName=NAME)
    updated = before["EndpointConfigName"] != after["EndpointConfigName"]
    must(updated, "the endpoint was not updated", after)
    prefix = f"s3://{bucket}/slipway/{NAME}/data/test/"
    steps.launch("invoke", prefix, see=("photo +label +probability",))
    table = "photo +label +probability"
    steps.launch("batch", str(test), see=("Completed", table))
    steps.launch("status", see=(f"endpoint {NAME}: InService", "Completed"))
    removed = (f"delete: Endpoint {NAME}", "delete: ModelPackage arn", "objects removed")
    steps.launch("delete", "--yes", "--data", see=removed)


def check_accuracy(steps: Steps, test: Path) -> None:
    """The endpoint answers as training measured."""
    printed = steps.launch("invoke", str(test), "--json")
    answers = [json.loads(line) for line in printed.splitlines()]
    downloads = steps.out / "launch" / NAME
    [described] = downloads.glob("*/model/model.json")
    model = json.loads(described.read_text(encoding="utf-8"))
    trained = model["accuracy"]["test"]
    # A photo's folder is its true label; a refused photo has no "label" in its line.
    correct = 0
    for answer in answers:
        correct += answer.get("label") == Path(answer["photo"]).parent.name
    served = correct / len(answers)
    must(
        round(trained, 6) == round(served, 6),
        "the endpoint's accuracy differs from training's",
        {"trained": trained, "served": served},
    )
