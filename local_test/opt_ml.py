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
    for leftover in ("input", "model", "output", "checkpoints"):
        shutil.rmtree(root / leftover, ignore_errors=True)
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (root / folder).mkdir(parents=True)
    for name, folder in channels.items():
        shutil.copytree(folder, root / "input" / "data" / name, copy_function=_link)
    host = "algo-1"
    _write(root, "hyperparameters", {name: _text(value) for name, value in hyperparameters.items()})
    _write(root, "inputdataconfig", {name: {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated",
                                            "RecordWrapperType": "None"} for name in channels})
    _write(root, "resourceconfig", {"current_host": host, "hosts": [host], "network_interface_name": "eth0",
                                    "current_instance_type": "local", "current_group_name": "homogeneousCluster",
                                    "instance_groups": [{"instance_group_name": "homogeneousCluster", "instance_type": "local",
                                                         "hosts": [host]}]})


def pack_model(root: Path, archive: Path) -> None:
    """What SageMaker makes of the model folder after a training: a model.tar.gz without leading folders."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        for path in sorted((root / "model").iterdir()):
            file.add(path, arcname=path.name)


def _write(root: Path, name: str, values: dict) -> None:
    (root / "input" / "config" / f"{name}.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(str(part) for part in value)
    return str(value)


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
