"""Training channels: from S3 into input/data/<channel>, as the request asks; and the checks of what cannot be had here."""

import gzip
import json
from pathlib import Path

from local_sagemaker import objects
from local_sagemaker.contract import VALIDATION, ApiError
from local_sagemaker.record import Record

DEFAULT_MODE = "File"


def check(channels: list[Record], mode: str) -> None:
    """ApiError for channels that this server cannot fill."""
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise ApiError(VALIDATION, f"Duplicate channel names are not allowed: {', '.join(names)}")
    for channel in channels:
        source = channel["DataSource"]
        if "S3DataSource" not in source:
            raise ApiError(
                VALIDATION,
                f"local SageMaker: channel '{channel['ChannelName']}' has no S3DataSource; nothing else is done here",
            )
        if channel.get("InputMode", mode) == "Pipe":
            raise ApiError(
                VALIDATION,
                f"local SageMaker: channel '{channel['ChannelName']}' is of mode Pipe, which is not done here; use File or FastFile",
            )
        if source["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise ApiError(
                VALIDATION,
                f"local SageMaker: S3DataType {source['S3DataSource']['S3DataType']} is not done here; use S3Prefix or ManifestFile",
            )


def configuration(channels: list[Record]) -> dict[str, dict[str, str]]:
    """inputdataconfig.json; FastFile is written there as File."""
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": DEFAULT_MODE,
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
        }
        for channel in channels
    }


def fill(channels: list[Record], data: Path, rank: int, hosts: int) -> None:
    """Each channel's files below data/<channel>, for one of so many hosts. ObjectError when there is nothing."""
    for channel in channels:
        source = channel["DataSource"]["S3DataSource"]
        found = _listed(source)
        if not found:
            raise objects.ObjectError(
                f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please ensure that the bucket '
                "exists in the selected region and that objects exist under that S3 prefix."
            )
        if source.get("S3DataDistributionType") == "ShardedByS3Key":
            found = found[rank::hosts]
        folder = data / channel["ChannelName"]
        folder.mkdir(parents=True, exist_ok=True)
        for uri, name in found:
            _place(uri, folder / name, folder, channel.get("CompressionType") == "Gzip")


def _listed(source: Record) -> list[tuple[str, str]]:
    """URIs, and names below the channel's folder."""
    if source["S3DataType"] == "S3Prefix":
        return list(objects.below(source["S3Uri"]))
    return manifest(source["S3Uri"])


def manifest(uri: str) -> list[tuple[str, str]]:
    """What a manifest names: [{"prefix": "s3://bucket/folder/"}, "a.jpg", …]. ObjectError when it is no such file."""
    try:
        first, *names = json.loads(objects.read(uri))
        return [(f"{first['prefix']}{name}", name) for name in names]
    except (ValueError, TypeError, KeyError) as error:
        raise objects.ObjectError(
            f"the manifest '{uri}' must be a JSON list of an object with a prefix, and names; {type(error).__name__}: {error}"
        ) from error


def _place(uri: str, target: Path, folder: Path, packed: bool) -> None:
    if not target.resolve().is_relative_to(folder.resolve()):
        raise objects.ObjectError(f"the object '{uri}' has a name that leads out of its channel")
    objects.fetch(uri, target)
    if packed and target.suffix == ".gz":
        target.with_suffix("").write_bytes(gzip.decompress(target.read_bytes()))
        target.unlink()
