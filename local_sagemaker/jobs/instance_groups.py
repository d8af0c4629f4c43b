"""The instance groups of a training job: which hosts are of which type, and get which channels.

Source: developer guide, "Run training jobs on a heterogeneous cluster", and the API reference of
ResourceConfig, InstanceGroup and S3DataSource.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from local_sagemaker.contract import invalid
from local_sagemaker.record import Record
from runtime.opt_ml import INSTANCE_GROUP, InstanceGroup

MOST_HOSTS = 9  # a limit of this server: all hosts share one machine


def check(resources: Record, channels: Sequence[Record]) -> None:
    """ApiError for machines that SageMaker, or this server, refuses."""
    groups = resources.get("InstanceGroups", [])
    if groups:
        _check_groups(resources, groups)
    else:
        _check_count(resources)
    count = host_count(resources)
    if count > MOST_HOSTS:
        raise invalid(
            f"local SageMaker: at most {MOST_HOSTS} hosts fit on this machine; found {count}"
        )
    _check_channels([group["InstanceGroupName"] for group in groups], channels)


def _check_groups(resources: Record, groups: Sequence[Record]) -> None:
    for field in ("InstanceType", "InstanceCount"):
        if resources.get(field):
            raise invalid(f"ResourceConfig has InstanceGroups and {field}; leave one of them out")
    names = Counter(group["InstanceGroupName"] for group in groups)
    twice = sorted(name for name, times in names.items() if times > 1)
    if twice:
        raise invalid(f"the instance group '{twice[0]}' is there twice; names must be unique")
    for group in groups:
        if group["InstanceCount"] < 1:
            raise invalid(
                f"InstanceCount of the instance group '{group['InstanceGroupName']}' must be at "
                f"least 1; found {group['InstanceCount']}"
            )


def _check_count(resources: Record) -> None:
    if not resources.get("InstanceType"):
        raise invalid(
            "1 validation error detected: Value null at 'resourceConfig.instanceType' failed to "
            "satisfy constraint: Member must not be null"
        )
    count = resources.get("InstanceCount", 1)
    if count < 1:
        raise invalid(
            f"1 validation error detected: Value '{count}' at 'resourceConfig.instanceCount' "
            "failed to satisfy constraint: Member must have value greater than or equal to 1"
        )


def _check_channels(known: Sequence[str], channels: Sequence[Record]) -> None:
    for channel in channels:
        for name in group_names(channel):
            if name not in known:
                found = ", ".join(known) or "none"
                raise invalid(
                    f"channel '{channel['ChannelName']}' is for the instance group '{name}', "
                    f"which ResourceConfig lacks; its groups: {found}"
                )


def host_count(resources: Record) -> int:
    """The hosts of all groups."""
    groups = resources.get("InstanceGroups", [])
    if groups:
        return sum(group["InstanceCount"] for group in groups)
    return int(resources.get("InstanceCount", 1))


def groups_of(resources: Record, hosts: Sequence[str]) -> tuple[InstanceGroup, ...]:
    """The groups with their hosts, which they take in their order."""
    given = resources.get("InstanceGroups", [])
    if not given:
        kind = resources.get("InstanceType", "local")
        return (InstanceGroup(INSTANCE_GROUP, kind, tuple(hosts)),)
    groups = []
    start = 0
    for group in given:
        end = start + group["InstanceCount"]
        own = tuple(hosts[start:end])
        groups.append(InstanceGroup(group["InstanceGroupName"], group["InstanceType"], own))
        start = end
    return tuple(groups)


def group_names(channel: Record) -> list[str]:
    """The groups that a channel is for; none where it is for all."""
    names: list[str] = channel["DataSource"].get("S3DataSource", {}).get("InstanceGroupNames", [])
    return names


def hosts_of(channel: Record, groups: Sequence[InstanceGroup]) -> list[str]:
    """The hosts that get a channel, in their order."""
    names = group_names(channel)
    taken = [group.hosts for group in groups if not names or group.name in names]
    return list(chain.from_iterable(taken))
