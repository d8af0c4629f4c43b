"""What a run leaves behind on this machine and in its local AWS: counted, and named."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime import docker, reaper
from runtime.container_engine import LABEL

PATIENCE_S = 30  # an endpoint that is being deleted is gone a moment later
LOOK_S = 0.5

# boto3's client of a service: its operations are made at run time
Client = Callable[[str], Any]


def in_aws(client: Client, bucket: str) -> dict[str, list[str]]:
    """What is left of a recipe, by kind, once the service deletes no more.

    client: makes boto3's client of a service.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = _in_aws(client, bucket)
        if not any(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(LOOK_S)


def _in_aws(client: Client, bucket: str) -> dict[str, list[str]]:
    sagemaker = client("sagemaker")
    endpoints = sagemaker.list_endpoints()["Endpoints"]
    configurations = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    models = sagemaker.list_models()["Models"]
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    scaling = client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )
    return {
        "objects": _objects(client, bucket),
        "endpoints": [entry["EndpointName"] for entry in endpoints],
        "configurations": [entry["EndpointConfigName"] for entry in configurations],
        "models": [entry["ModelName"] for entry in models],
        "package groups": [entry["ModelPackageGroupName"] for entry in groups],
        "alarms": [entry["AlarmName"] for entry in alarms],
        "scaling": [entry["ResourceId"] for entry in scaling["ScalableTargets"]],
    }


def _objects(client: Client, bucket: str) -> list[str]:
    keys: list[str] = []
    paginator = client("s3").get_paginator("list_objects_v2")
    for page in paginator.paginate(Bucket=bucket):
        keys += [entry["Key"] for entry in page.get("Contents", [])]
    return keys


def in_engine(state: Path, registry: str) -> dict[str, list[str]]:
    """What is left in the Docker engine of a server with this state, and of this registry.

    Containers that have a folder of the state mounted, the server's networks, images by name.
    """
    return {
        "containers": docker.containers_with_mount(str(state)),
        "images": docker.images_named(f"{registry}/*"),
        "networks": docker.networks_with_label(f"{LABEL}={state}"),
    }


def processes(mark: str) -> list[str]:
    """Processes that were started with the mark, NAME=value, in their environment.

    This one does not count, and neither does its own reaper, which ends with it.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is another user's
        command = b" ".join(words).decode(errors="replace").strip()
        if mark.encode() in variables and not _is_own_reaper(folder, command):
            found.append(f"{folder.name}: {command}")
    return found


def _is_own_reaper(folder: Path, command: str) -> bool:
    """Whether a process of /proc is the reaper that this process has started."""
    if not command.endswith(reaper.__name__):
        return False
    try:
        status = (folder / "stat").read_text(errors="replace")
    except OSError:
        return False
    _state, parent = status.rpartition(")")[2].split()[:2]  # a name may hold blanks
    return int(parent) == os.getpid()


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
