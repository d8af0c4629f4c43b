"""The /opt/ml tree of a training job, laid out on this machine as SageMaker does in the container.

Source of its files: developer guide, "How Amazon SageMaker Provides Training Information".
"""

import json
import os
import shutil
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from recipes.values import texts_of
from runtime import job_tree

FOLDERS = ("input/config", "input/data", "model", "output/data", "checkpoints")
HOST = "algo-1"  # the first one, and the only one of most jobs
INSTANCE_GROUP = "homogeneousCluster"  # SageMaker's name where a request has no groups
CHANNEL_DEFAULTS = {
    "TrainingInputMode": "File",
    "S3DistributionType": "FullyReplicated",
    "RecordWrapperType": "None",
}


@dataclass(frozen=True)
class InstanceGroup:
    """Some of a job's hosts, all of one type."""

    name: str = INSTANCE_GROUP
    instance_type: str = "local"
    hosts: tuple[str, ...] = (HOST,)


def lay_out(
    root: Path,
    hyperparameters: Mapping[str, object],
    channels: Mapping[str, Path],
    by: str = "files",
) -> None:
    """A fresh job under root; what an earlier job left there is removed.

    by: how a channel's files get there. files: hard links, copies across disks; folder: one
    symbolic link per channel; mount: not at all, since a container gets them mounted.
    """
    make_folders(root)
    for name, folder in channels.items():
        place = root / "input" / "data" / name
        if by == "files":
            shutil.copytree(folder, place, copy_function=_link)
        elif by == "folder":
            place.symlink_to(folder)
    configure(root, hyperparameters, {name: {} for name in channels})


def make_folders(root: Path) -> None:
    """The folders that are there before a container starts, empty."""
    for leftover in ("input", "model", "output", "checkpoints"):
        if (root / leftover).is_symlink():  # a container's doing: nothing may be written there
            (root / leftover).unlink()
        shutil.rmtree(root / leftover, ignore_errors=True)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)


def configure(
    root: Path,
    hyperparameters: Mapping[str, object],
    channels: Mapping[str, Mapping[str, str]],
    host: str = HOST,
    groups: tuple[InstanceGroup, ...] = (InstanceGroup(),),
    interface: str = "eth0",
    more: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """The files of input/config for one host of a job.

    Values of hyperparameters become texts, as SageMaker's API has it. channels: what each one sets
    beside the defaults; more: further files, by name, as they stand.
    """
    _write(root, "hyperparameters", texts_of(hyperparameters))
    inputs = {name: {**CHANNEL_DEFAULTS, **given} for name, given in channels.items()}
    _write(root, "inputdataconfig", inputs)
    _write(root, "resourceconfig", resources(host, groups, interface))
    for name, values in (more or {}).items():
        _write(root, name, values)


def resources(
    host: str, groups: Sequence[InstanceGroup], interface: str = "eth0"
) -> dict[str, object]:
    """The content of resourceconfig.json."""
    (own,) = [group for group in groups if host in group.hosts]
    listed = []
    for group in groups:
        entry = {
            "instance_group_name": group.name,
            "instance_type": group.instance_type,
            "hosts": list(group.hosts),
        }
        listed.append(entry)
    return {
        "current_host": host,
        "hosts": sorted(chain.from_iterable(group.hosts for group in groups)),
        "network_interface_name": interface,
        "current_instance_type": own.instance_type,
        "current_group_name": own.name,
        "instance_groups": listed,
    }


def pack_model(root: Path, archive: Path) -> None:
    """Pack the model folder as SageMaker does after a training, into a model.tar.gz."""
    pack(root / "model", archive)


def pack(folder: Path, archive: Path) -> None:
    """A .tar.gz of what a folder of a job's tree holds, without leading folders.

    Links within the folder stay links. What leads out of it is left out, and so is all that is
    neither a folder nor an ordinary file. OutwardLink when the folder itself is a link.
    """
    if folder.is_symlink():
        raise job_tree.OutwardLink(f"'{folder}' is a link")
    # level 1: weights hardly get smaller by more work
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        for name, mode in sorted(job_tree.entries_inside(folder)):
            path = folder / name
            if path.is_symlink() or stat.S_ISDIR(mode):
                file.add(path, arcname=name, recursive=False)
            elif stat.S_ISREG(mode):
                with job_tree.open_inside(folder, name) as content:
                    file.addfile(file.gettarinfo(arcname=name, fileobj=content), content)


def _write(root: Path, name: str, values: Mapping[str, object]) -> None:
    path = root / "input" / "config" / f"{name}.json"
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
