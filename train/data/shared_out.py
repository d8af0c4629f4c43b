"""Channels of which each host has a part of the photos: SageMaker's ShardedByS3Key.

Training photos may be shared out. The first host alone measures the model, so it needs all others.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from train.job import Job, JobError

SHARDED = "ShardedByS3Key"
CURE = "set its S3DataDistributionType to FullyReplicated"


def shared_out_channels(job: Job) -> frozenset[str]:
    """The names of the channels that inputdataconfig.json calls shared out."""
    found = set()
    for name, channel in job.config("inputdataconfig.json").items():
        if isinstance(channel, dict) and channel.get("S3DistributionType") == SHARDED:
            found.add(name)
    return frozenset(found)


def check_shared_out(
    names: Collection[str],
    folders: Mapping[str, Path],
    roles: Mapping[str, Path],
    split: Sequence[float],
    multi_label: bool,
) -> None:
    """JobError where a part of the photos is not enough for what the job needs.

    folders: of the channels. roles: the folders of train, validation and test, in some channel.
    split: the shares of train, validation and test.
    """
    for name in sorted(names & folders.keys()):
        for role, folder in roles.items():
            if role != "train" and folder.is_relative_to(folders[name]):
                raise JobError(
                    f"the channel '{name}' is {SHARDED}, but the first host measures the model on "
                    f"all {role} photos; {CURE}"
                )
        if not roles["train"].is_relative_to(folders[name]):
            continue
        if "validation" not in roles and any(split[1:]):
            raise JobError(
                f"the channel '{name}' is {SHARDED}, so no validation photos can be split off it; "
                "give a channel validation that is FullyReplicated, or set split=1,0,0"
            )
        if multi_label:
            raise JobError(
                f"the channel '{name}' is {SHARDED}, but multi_label compares the files of all "
                f"hosts; {CURE}"
            )


def first_host_sentence(first: int, every: int, int8: bool) -> str:
    """What the first host's photos alone say of a model, where the hosts share them out.

    first, every: training photos. int8: it is calibrated.
    """
    done = "the reference for launch drift was measured"
    if int8:
        done = f"int8 was calibrated and {done}"
    return (
        f"The hosts shared out the training photos: {done} on the first host's {first} of {every}"
    )
