"""Training channels: from S3 into input/data/<channel>, as the request asks.

It also checks a request for what this server cannot do.
"""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from artifact.host.machine import folder_room
from artifact.text.json_text import MOST_IN_LISTS, read_json
from local_sagemaker import objects
from local_sagemaker.contract import invalid
from local_sagemaker.jobs.instance_groups import hosts_of
from local_sagemaker.record import Record
from runtime.opt_ml import HOST, InstanceGroup

PIECE_BYTES = 1 << 20
SPARE_BYTES = 1 << 30  # stay free on the disk when an object is decompressed
DEFAULT_MODE = "File"


def check(channels: list[Record], mode: str) -> None:
    """ApiError for channels that this server cannot fill."""
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise invalid(f"Duplicate channel names are not allowed: {', '.join(names)}")
    for channel in channels:
        if not channel["ChannelName"].strip("."):  # it becomes the name of a folder
            raise invalid(f"'{channel['ChannelName']}' is not the name of a channel")
        source = channel["DataSource"]
        if "S3DataSource" not in source:
            raise invalid(_no_s3(channel["ChannelName"], source))
        if channel.get("InputMode", mode) == "Pipe":
            raise invalid(
                f"local SageMaker: channel '{channel['ChannelName']}' is of mode Pipe, "
                "which is not done here; use File or FastFile",
            )
        if source["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise invalid(
                f"local SageMaker: S3DataType {source['S3DataSource']['S3DataType']} "
                "is not done here; use S3Prefix or ManifestFile",
            )


def _no_s3(name: str, source: Record) -> str:
    """Why a channel that is not in S3 cannot be had here."""
    system = source.get("FileSystemDataSource")
    if not system:
        return f"local SageMaker: channel '{name}' has no S3DataSource; nothing else is done here"
    kind = {"FSxLustre": "FSx for Lustre"}.get(system["FileSystemType"], system["FileSystemType"])
    return (
        f"local SageMaker: channel '{name}' lies on {kind} ({system['FileSystemId']}), which only "
        "hosts in its VPC can mount; copy its photos to S3, and name them in an S3DataSource"
    )


def configuration(channels: list[Record]) -> dict[str, dict[str, str]]:
    """inputdataconfig.json; FastFile is written there as File."""
    found = {}
    for channel in channels:
        source = channel["DataSource"]["S3DataSource"]
        found[channel["ChannelName"]] = {
            # A FastFile channel looks like files, too.
            "TrainingInputMode": DEFAULT_MODE,
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if channel.get("ContentType"):
            found[channel["ChannelName"]]["ContentType"] = channel["ContentType"]
    return found


def fill(
    channels: list[Record],
    data: Path,
    host: str = HOST,
    groups: Sequence[InstanceGroup] = (InstanceGroup(),),
) -> None:
    """Each channel's files below data/<channel>, for a host. ObjectError when there is nothing.

    A channel that is for instance groups goes to their hosts alone.
    """
    for channel in channels:
        hosts = hosts_of(channel, groups)
        if host not in hosts:
            continue
        is_packed = channel.get("CompressionType") == "Gzip"
        source = channel["DataSource"]["S3DataSource"]
        rank = hosts.index(host)
        fill_folder(source, data / channel["ChannelName"], rank, len(hosts), is_packed)


def fill_folder(source: Record, folder: Path, rank: int, hosts: int, is_packed: bool) -> None:
    """The objects that a source names, below a folder; of sharded ones, this host's.

    ObjectError when there is nothing.
    """
    found = _listed(source)
    if not found:
        raise objects.ObjectError(
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data '
            "source. Please ensure that the bucket exists in the selected region and that "
            "objects exist under that S3 prefix."
        )
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        found = found[rank::hosts]  # sorted keys: no two hosts get the same object
    folder.mkdir(parents=True, exist_ok=True)
    for uri, name in found:
        _place(uri, folder / name, folder, is_packed)


def _listed(source: Record) -> list[tuple[str, str]]:
    """URIs, and names below the channel's folder."""
    if source["S3DataType"] == "S3Prefix":
        return list(objects.below(source["S3Uri"]))
    return manifest(source["S3Uri"])


def manifest(uri: str) -> list[tuple[str, str]]:
    """What a manifest names: [{"prefix": "s3://bucket/folder/"}, "a.jpg", …].

    ObjectError when it is not such a file.
    """
    try:
        first, *names = read_json(objects.read(uri), MOST_IN_LISTS)
        if not all(isinstance(name, str) for name in names):
            raise ValueError("one of its names is no text")
        prefix = first["prefix"]
        return [(f"{prefix}{name}", name) for name in names]
    except (ValueError, TypeError, KeyError) as error:
        raise objects.ObjectError(
            f"the manifest '{uri}' must be a JSON list of an object with a prefix, and names; "
            f"{type(error).__name__}: {error}"
        ) from error


def _place(uri: str, target: Path, folder: Path, packed: bool) -> None:
    if not target.resolve().is_relative_to(folder.resolve()):
        raise objects.ObjectError(f"the object '{uri}' has a name that leads out of its channel")
    objects.fetch(uri, target)
    # CompressionType Gzip: SageMaker unpacks each object before a training sees it.
    if packed and target.suffix == ".gz":
        _unpack(uri, target)


def _unpack(uri: str, packed: Path) -> None:
    """Put what a file in gzip holds in its place. ObjectError for no gzip, or a disk too small."""
    target = packed.with_suffix("")
    room = folder_room(packed.parent) - SPARE_BYTES
    try:
        with gzip.open(packed) as source, target.open("wb") as copy:
            while piece := source.read(PIECE_BYTES):
                room -= len(piece)
                if room < 0:
                    raise ValueError("it does not fit on this disk when it is decompressed")
                copy.write(piece)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        target.unlink(missing_ok=True)
        raise objects.ObjectError(f"the object '{uri}' cannot be decompressed: {error}") from error
    packed.unlink()
