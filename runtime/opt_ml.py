"""The /opt/ml tree of a training job, laid out on this machine as SageMaker lays it out in the container."""

import json
import os
import shutil
import tarfile
from pathlib import Path


def lay_out(root: Path, hyperparameters: dict[str, object], channels: dict[str, Path]) -> None:
    """A fresh job under root: its configuration files, and each channel's files as hard links (copies across disks).

    Values of hyperparameters become texts, as SageMaker's API has it. What an earlier job left there is removed.
    """
    make_folders(root)
    for name, folder in channels.items():
        shutil.copytree(folder, root / "input" / "data" / name, copy_function=_link)
    configure(root, hyperparameters, {name: {} for name in channels})


def make_folders(root: Path) -> None:
    """The folders that are there before a container starts, empty."""
    for leftover in ("input", "model", "output", "checkpoints"):
        shutil.rmtree(root / leftover, ignore_errors=True)
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (root / folder).mkdir(parents=True)


def configure(
    root: Path,
    hyperparameters: dict[str, object],
    channels: dict[str, dict[str, str]],
    host: str = "algo-1",
    hosts: tuple[str, ...] = ("algo-1",),
    instance_type: str = "local",
    interface: str = "eth0",
    more: dict[str, dict] | None = None,
) -> None:
    """The files of input/config for one host of a job. channels: what each sets beside the defaults; more: further files, by name, as they stand."""
    _write(root, "hyperparameters", {name: _text(value) for name, value in hyperparameters.items()})
    _write(
        root,
        "inputdataconfig",
        {
            name: {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
                **given,
            }
            for name, given in channels.items()
        },
    )
    _write(
        root,
        "resourceconfig",
        {
            "current_host": host,
            "hosts": list(hosts),
            "network_interface_name": interface,
            "current_instance_type": instance_type,
            "current_group_name": "homogeneousCluster",
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": instance_type,
                    "hosts": list(hosts),
                }
            ],
        },
    )
    for name, values in (more or {}).items():
        _write(root, name, values)


def pack_model(root: Path, archive: Path) -> None:
    """What SageMaker makes of the model folder after a training: a model.tar.gz without leading folders."""
    pack(root / "model", archive)


def pack(folder: Path, archive: Path) -> None:
    """A .tar.gz of what a folder holds, without leading folders."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        for path in sorted(folder.iterdir()):
            file.add(path, arcname=path.name)


def _write(root: Path, name: str, values: dict) -> None:
    (root / "input" / "config" / f"{name}.json").write_text(
        json.dumps(values, indent=2) + "\n", encoding="utf-8"
    )


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(str(part) for part in value)
    return str(value)


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
