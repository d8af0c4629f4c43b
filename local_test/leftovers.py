"""What a run leaves behind on this machine and in its local AWS: counted, and named."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 30  # an endpoint that is told to go is gone a moment later
LABEL = "slipway.local-sagemaker"


def in_aws(client: Callable, bucket: str) -> dict[str, list[str]]:
    """What there is still of a recipe's, by kind, once nothing more goes. client: boto3's client of a service."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = _in_aws(client, bucket)
        if not any(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _in_aws(client: Callable, bucket: str) -> dict[str, list[str]]:
    sagemaker = client("sagemaker")
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {
        "objects": [entry["Key"] for page in pages for entry in page.get("Contents", [])],
        "endpoints": [entry["EndpointName"] for entry in sagemaker.list_endpoints()["Endpoints"]],
        "configurations": [
            entry["EndpointConfigName"]
            for entry in sagemaker.list_endpoint_configs()["EndpointConfigs"]
        ],
        "models": [entry["ModelName"] for entry in sagemaker.list_models()["Models"]],
        "alarms": [
            entry["AlarmName"] for entry in client("cloudwatch").describe_alarms()["MetricAlarms"]
        ],
        "scaling": [
            entry["ResourceId"]
            for entry in client("application-autoscaling").describe_scalable_targets(
                ServiceNamespace="sagemaker"
            )["ScalableTargets"]
        ],
    }


def in_engine(state: Path, registry: str) -> dict[str, list[str]]:
    """Containers that have a folder below the state mounted, networks that its server made, and images with the name of that registry."""
    shown = _docker("ps", "--all", "--no-trunc", "--format", "{{.Names}}\t{{.Mounts}}")
    return {
        "containers": [
            line.partition("\t")[0] for line in shown if str(state) in line.partition("\t")[2]
        ],
        "images": _docker(
            "image",
            "ls",
            "--format",
            "{{.Repository}}:{{.Tag}}",
            "--filter",
            f"reference={registry}/*",
        ),
        "networks": _docker(
            "network", "ls", "--format", "{{.Name}}", "--filter", f"label={LABEL}={state}"
        ),
    }


def _docker(*words: str) -> list[str]:
    return subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def processes(mark: str) -> list[str]:
    """Processes that were started with the mark, NAME=value, in their environment, but for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid() and mark.encode() in (
                folder / "environ"
            ).read_bytes().split(b"\0"):
                found.append(
                    f"{folder.name}: {(folder / 'cmdline').read_bytes().replace(bytes(1), b' ').decode(errors='replace').strip()}"
                )
        except OSError:
            continue  # it has ended, or is another user's
    return found


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
