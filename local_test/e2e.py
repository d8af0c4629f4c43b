"""python -m local_test.e2e: the demo on SageMaker's API of this machine, from the push to the removal, each step as a user types it.

Push, upload, check, two chained tuning jobs, a spot training that is interrupted, one under the debugger, reports, an endpoint, its
update, a transform job, delete; then everything that was left behind is counted. S3, ECR, IAM and logs are moto's; with a Docker
engine the images go through a real registry, without one their manifests alone go to moto's ECR.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import yaml

from local_sagemaker import cloud
from local_test import leftovers
from runtime.container_engine import choose_container_engine
from runtime.errors import RunError
from runtime.processes import REPOSITORY

RECIPE = REPOSITORY / "recipes" / "demo.yaml"
NAME, IMAGES = "e2e", ("train", "serve")
MODEL = "shufflenet_v2_x0_5"  # a thirtieth of the size of the demo's resnet18, of which eight would be kept
PHOTOS_PER_CLASS, EPOCHS, TRIAL_EPOCHS = 16, 12, 2
INTERRUPT_AFTER_EPOCH, PATIENCE_S = 3, 300
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }
    ],
}
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class StepFailed(RuntimeError):
    """A step that did not do what it must; the text has its output."""


class Steps:
    """Runs and counts steps: a line each, with its seconds."""

    def __init__(self, recipe: Path, out: Path):
        self.recipe, self.out, self.count = recipe, out, 0

    @contextmanager
    def step(self, what: str, told: str = "") -> Iterator[None]:
        """A step that this program does itself, by boto3."""
        self.count += 1
        began = time.monotonic()
        yield
        print(
            f"e2e: {self.count:2} {what:10} {time.monotonic() - began:6.1f} s  {told}", flush=True
        )

    def run(self, what: str, *words: str, see: tuple[str, ...] = ()) -> str:
        """A command of a user's; its output, in which each pattern of `see` must be. StepFailed with all of it otherwise."""
        shown = " ".join("python" if word == sys.executable else word for word in words)
        with self.step(what, shown.replace(f"{REPOSITORY}/", "")):
            done = subprocess.run(
                words,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            missing = [pattern for pattern in see if not re.search(pattern, done.stdout)]
            if done.returncode or missing:
                why = (
                    f"ended with code {done.returncode}"
                    if done.returncode
                    else f"did not say '{missing[0]}'"
                )
                raise StepFailed(f"{done.stdout}\nstep {self.count}, {what}, {why}: {shown}")
        return done.stdout

    def launch(self, command: str, *words: str, see: tuple[str, ...] = (), what: str = "") -> str:
        """A command of the launcher's on the recipe."""
        return self.run(
            what or command,
            sys.executable,
            "-m",
            "launch",
            command,
            str(self.recipe),
            *words,
            "--out",
            str(self.out),
            "--poll",
            "0.5",
            see=see,
        )


def main() -> int:
    """Run all steps; 0 when each did what it must and nothing is left behind."""
    parser = argparse.ArgumentParser(
        prog="e2e", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--engine", default="", help="docker or process (default: docker where an engine answers)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "out" / NAME,
        help="where recipe, photos and reports are written; emptied first (default: out/e2e)",
    )
    parser.add_argument(
        "--registry",
        type=Path,
        help="a folder for the registry's images, which stay there: an engine sends no layer again that the registry has (default: none stay)",
    )
    options = parser.parse_args()
    started = time.monotonic()
    try:
        engine = choose_container_engine(options.engine)
        print(
            f"e2e: running with {'the images in Docker' if engine == 'docker' else 'plain processes (no containers)'}",
            flush=True,
        )
        steps, left = run(engine, options.out.absolute(), options.registry)
    except (StepFailed, RunError, OSError) as error:
        print(f"{error}\ne2e: failed", file=sys.stderr, flush=True)
        return 1
    for kind, names in left.items():
        print(f"e2e: left behind: {kind}={len(names)} {', '.join(names[:5])}".rstrip(), flush=True)
    count = sum(len(names) for names in left.values())
    print(
        f"e2e: steps={steps} left_behind={count} seconds={time.monotonic() - started:.0f}",
        flush=True,
    )
    return 1 if count else 0


def run(engine: str, out: Path, kept: Path | None = None) -> tuple[int, dict[str, list[str]]]:
    """All steps on servers of their own; how many there were, and what they left behind, by kind. kept: a folder for the registry's images."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    steps = Steps(out / "recipe.yaml", out)
    with tempfile.TemporaryDirectory(prefix="slipway-e2e-") as name:
        work = Path(name)
        environment = cloud.environment_here(
            E2E_RUN=work.name, SLIPWAY_CACHE=str(work / "cache"), VENV=sys.prefix
        )
        os.environ.clear()
        os.environ.update(environment)
        with ExitStack() as servers:
            with steps.step(
                "start", "moto, local SageMaker" + (", a registry" if engine == "docker" else "")
            ):
                moto = servers.enter_context(cloud.moto(work, environment))
                os.environ["AWS_ENDPOINT_URL"] = moto
                sagemaker = servers.enter_context(cloud.sagemaker(work, engine, dict(os.environ)))
                os.environ |= dict.fromkeys(cloud.SAGEMAKER_URLS, sagemaker)
                registry = (
                    servers.enter_context(cloud.registry(work, environment, kept))
                    if engine == "docker"
                    else ""
                )
            bucket = (
                f"sagemaker-{cloud.REGION}-{boto3.client('sts').get_caller_identity()['Account']}"
            )
            begin(steps, bucket, registry)
            search_and_train(steps, sagemaker)
            host(steps, bucket)
            left = leftovers.in_aws(boto3.client, bucket)
        left |= leftovers.in_engine(work / "sagemaker", registry) if engine == "docker" else {}
        left |= {
            "processes": leftovers.processes(f"E2E_RUN={work.name}"),
            "files": leftovers.files(work / "sagemaker" / "work"),
        }
    return steps.count, left


def begin(steps: Steps, bucket: str, registry: str) -> None:
    """Photos, the account's role and bucket, the images, the photos in S3, and the look at all of it."""
    photos, prepared, images = (
        steps.out / "photos",
        steps.out / "prepared",
        steps.out / "images.json",
    )
    steps.run(
        "draw",
        sys.executable,
        "-m",
        "local_test.stick_figures",
        str(photos),
        "--photos-per-class",
        str(PHOTOS_PER_CLASS),
    )
    steps.run(
        "prepare",
        sys.executable,
        "-m",
        "prepare",
        str(photos),
        str(prepared),
        "--split",
        "0.6,0.2,0.2",
    )
    steps.recipe.write_text(
        yaml.safe_dump(recipe(images, prepared), sort_keys=False), encoding="utf-8"
    )
    with steps.step("account", f"boto3: the role SlipwayRole, the bucket {bucket}"):
        boto3.client("iam").create_role(
            RoleName="SlipwayRole", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        boto3.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.REGION}
        )
    if registry:
        steps.run(
            "push",
            "env",
            f"REGISTRY={registry}",
            "DIRTY=1",
            f"OUT={images}",
            "./build_and_push.sh",
            *IMAGES,
            see=("push: serve=", "push: train="),
        )
    else:
        push_manifests(steps, images)
    steps.launch("check", see=("is empty; run `python -m launch upload", "check: .* 0 failed"))
    steps.launch("cost", see=("tuning e2e-2, at most",))
    steps.launch("upload", see=("upload: test: s3://",))
    steps.launch("upload", see=("train: 0 new or changed",), what="again")
    steps.launch("check", see=("ok +channel train", "check: .* 0 failed"))


def recipe(images: Path, prepared: Path) -> dict:
    """The demo's recipe, smaller, with two searches of which the second starts from the first, on spot machines, with a real-time endpoint."""
    document = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    [search] = document["tuning"]
    first = {
        **search,
        "name": "e2e-1",
        "budgets": {"jobs": 2, "parallel": 2},
        "hyperparameters": {**search["hyperparameters"], "epochs": TRIAL_EPOCHS},
    }
    second = {
        **first,
        "name": "e2e-2",
        "parents": ["e2e-1"],
        "warm_start": "IdenticalDataAndAlgorithm",
        "seed": 1,
    }
    return {
        **document,
        "name": NAME,
        "tuning": [first, second],
        "hyperparameters": {
            **document["hyperparameters"],
            "model": MODEL,
            "image_size": 64,
            "epochs": EPOCHS,
            "quantize": False,
        },
        "sagemaker": {
            "region": cloud.REGION,
            "images": str(images),
            "channels": {name: str(prepared / name) for name in ("train", "validation", "test")},
            "training": {
                "instance_type": "ml.m5.xlarge",
                "spot": True,
                "max_run_s": 3600,
                "expected_s": 300,
            },
            "endpoint": {"instance_type": "ml.m5.large", "max_instances": 2},
            "debugger": {"train_interval": 5},
        },
    }


def push_manifests(steps: Steps, images: Path) -> None:
    """Without an engine there is nothing to push; the manifests that ECR would then have, so that all that asks for them finds them."""
    host = steps.run("registry", sys.executable, "-m", "launch.ecr", "registry").strip()
    for image in IMAGES:
        steps.run(
            "repository", sys.executable, "-m", "launch.ecr", "repository", host, f"slipway-{image}"
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "layers": [],
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": 2,
                "digest": f"sha256:{0:064}",
            },
        }
        boto3.client("ecr").put_image(
            repositoryName=f"slipway-{image}", imageTag=NAME, imageManifest=json.dumps(manifest)
        )
        steps.run(
            "push",
            sys.executable,
            "-m",
            "launch.ecr",
            "publish",
            image,
            f"{host}/slipway-{image}:{NAME}",
            "--out",
            str(images),
        )


def search_and_train(steps: Steps, sagemaker_url: str) -> None:
    """The chain of searches, a training that loses its machine, one that is watched, and what is told of them."""
    sagemaker = boto3.client("sagemaker")
    steps.launch(
        "tune", see=("tuning job e2e-1-", "tuning job e2e-2-", "e2e-2-.*: Completed; Completed=2")
    )
    with steps.step("warm start", "boto3: the second search started from the first"):
        newest = sagemaker.list_hyper_parameter_tuning_jobs(NameContains="e2e-2-")[
            "HyperParameterTuningJobSummaries"
        ][0]["HyperParameterTuningJobName"]
        searched = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=newest)
        [parent] = searched["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
        must(
            parent["HyperParameterTuningJobName"].startswith("e2e-1-")
            and searched["OverallBestTrainingJob"],
            "no warm start",
            searched,
        )
    steps.launch("report", see=("e2e-1", r"report: \S+report.html"))
    started = steps.launch("train", "--no-wait", see=("the job continues",))
    job = re.search(r"started: training job (\S+)", started)[1]
    with steps.step(
        "interrupt",
        f"POST /local/training-jobs/{job}/interrupt, after epoch {INTERRUPT_AFTER_EPOCH}",
    ):
        until(
            lambda: f"epoch={INTERRUPT_AFTER_EPOCH} " in printed(job),
            f"no epoch {INTERRUPT_AFTER_EPOCH} of {job}",
        )
        urllib.request.urlopen(
            urllib.request.Request(
                f"{sagemaker_url}/local/training-jobs/{job}/interrupt", method="POST"
            ),
            timeout=30,
        ).close()
    steps.launch(
        "train",
        see=(
            "still runs; following it",
            "going on from the checkpoint of epoch",
            f"{job}: Completed",
            f"epoch={EPOCHS} ",
        ),
        what="train on",
    )
    states = [
        entry["Status"]
        for entry in sagemaker.describe_training_job(TrainingJobName=job)[
            "SecondaryStatusTransitions"
        ]
    ]
    must("Interrupted" in states and states[-1] == "Completed", "no interruption", states)
    watched = re.search(r"started: training job (\S+)", steps.launch("debug", see=("Completed",)))[
        1
    ]
    with steps.step("rules", "boto3: the debugger's and profiler's rules are judged"):
        until(
            lambda: "InProgress" not in judged(watched).values(),
            f"the rules of {watched} are not judged",
        )
        must(
            judged(watched) and "Error" not in judged(watched).values(),
            "a rule could not judge",
            judged(watched),
        )
    steps.launch(
        "report",
        see=("profiler-report.html", "report: measured through the artifact"),
        what="report",
    )


def printed(job: str) -> str:
    """What a training has printed, as CloudWatch has it."""
    logs, group = boto3.client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")[
        "logStreams"
    ]
    return "".join(
        f"{event['message']} \n"
        for stream in streams
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    )


def judged(job: str) -> dict[str, str]:
    """The rules of a training and how each answered."""
    answer = boto3.client("sagemaker").describe_training_job(TrainingJobName=job)
    return {
        rule["RuleConfigurationName"]: rule["RuleEvaluationStatus"]
        for kind in ("Debug", "Profiler")
        for rule in answer[f"{kind}RuleEvaluationStatuses"]
    }


def host(steps: Steps, bucket: str) -> None:
    """The endpoint, its answers, another model on it, a transform job, and everything removed."""
    test = steps.out / "prepared" / "test"
    steps.launch("deploy", see=(f"{NAME} is InService",))
    before = boto3.client("sagemaker").describe_endpoint(EndpointName=NAME)
    answers = [
        json.loads(line) for line in steps.launch("invoke", str(test), "--json").splitlines()
    ]
    [described] = (steps.out / "launch" / NAME).glob("*/model/model.json")
    trained = json.loads(described.read_text(encoding="utf-8"))["accuracy"]["test"]
    served = sum(
        answer.get("label") == Path(answer["photo"]).parent.name for answer in answers
    ) / len(answers)
    must(
        round(trained, 6) == round(served, 6),
        "the endpoint answers otherwise than training measured",
        {"trained": trained, "served": served},
    )
    steps.launch("deploy", "--best", see=("best of e2e-2-", f"{NAME} is InService"), what="update")
    after = boto3.client("sagemaker").describe_endpoint(EndpointName=NAME)
    must(
        before["EndpointConfigName"] != after["EndpointConfigName"],
        "the endpoint was not updated",
        after,
    )
    steps.launch(
        "invoke", f"s3://{bucket}/slipway/{NAME}/data/test/", see=("photo +label +probability",)
    )
    steps.launch("batch", str(test), see=("Completed", "photo +label +probability"))
    steps.launch("status", see=(f"endpoint {NAME}: InService", "Completed"))
    steps.launch("delete", "--yes", "--data", see=(f"delete: Endpoint {NAME}", "objects removed"))


def until(condition: Callable[[], object], otherwise: str) -> None:
    """Wait for a condition; AWS's refusals count as not yet. StepFailed after PATIENCE_S."""
    deadline, seen = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except boto3.exceptions.botocore.exceptions.ClientError as error:
            seen = str(error)
        time.sleep(0.3)
    raise StepFailed(f"{otherwise} within {PATIENCE_S} s {seen}".strip())


def must(condition: object, what: str, seen: object) -> None:
    """StepFailed with what was seen in place of what had to be."""
    if not condition:
        raise StepFailed(f"{what}: {json.dumps(seen, default=str, indent=1)}")


if __name__ == "__main__":
    sys.exit(main())
