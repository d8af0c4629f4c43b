"""InstanceGroups of several types: what each host is told, and which channels it gets."""

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.jobs.channels import check as check_channels
from local_sagemaker.jobs.instance_groups import check, groups_of, host_count, hosts_of
from runtime.opt_ml import resources

HOSTS = ("algo-1", "algo-2", "algo-3")
GROUPS = [
    {"InstanceGroupName": "big", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    {"InstanceGroupName": "small", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
]
MACHINES = {"InstanceGroups": GROUPS, "VolumeSizeInGB": 10}


def channel(name: str, *groups: str, **source: object) -> dict:
    """A channel on S3, for some groups or for all."""
    s3: dict[str, object] = {"S3DataType": "S3Prefix", "S3Uri": "s3://photos/train"}
    if groups:
        s3["InstanceGroupNames"] = list(groups)
    return {"ChannelName": name, "DataSource": source or {"S3DataSource": s3}}


def test_each_host_is_told_its_group_and_all_others():
    groups = groups_of(MACHINES, HOSTS)
    assert host_count(MACHINES) == 3
    assert resources("algo-3", groups) == {
        "current_host": "algo-3",
        "hosts": list(HOSTS),
        "network_interface_name": "eth0",
        "current_instance_type": "ml.c5.xlarge",
        "current_group_name": "small",
        "instance_groups": [
            {
                "instance_group_name": "big",
                "instance_type": "ml.g5.xlarge",
                "hosts": ["algo-1"],
            },
            {
                "instance_group_name": "small",
                "instance_type": "ml.c5.xlarge",
                "hosts": ["algo-2", "algo-3"],
            },
        ],
    }


def test_a_channel_goes_to_its_groups():
    groups = groups_of(MACHINES, HOSTS)
    assert hosts_of(channel("train"), groups) == list(HOSTS)
    assert hosts_of(channel("train", "small"), groups) == ["algo-2", "algo-3"]
    assert hosts_of(channel("train", "big", "small"), groups) == list(HOSTS)


def test_without_groups_there_is_one():
    machines = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    (group,) = groups_of(machines, HOSTS[:2])
    assert (group.name, group.instance_type) == ("homogeneousCluster", "ml.m5.large")
    assert group.hosts == HOSTS[:2]


@pytest.mark.parametrize(
    "machines, sentence",
    [
        (MACHINES | {"InstanceType": "ml.m5.large"}, "InstanceGroups and InstanceType; leave one"),
        (MACHINES | {"InstanceCount": 1}, "InstanceGroups and InstanceCount; leave one"),
        ({"InstanceGroups": [GROUPS[0], GROUPS[0]]}, "the instance group 'big' is there twice"),
        (
            {"InstanceGroups": [GROUPS[0] | {"InstanceCount": 0}]},
            "InstanceCount of the instance group 'big' must be at least 1; found 0",
        ),
        (
            {"InstanceGroups": [GROUPS[0] | {"InstanceCount": 9}, GROUPS[1]]},
            "at most 9 hosts fit on this machine; found 11",
        ),
    ],
)
def test_wrong_groups_are_refused(machines, sentence):
    with pytest.raises(ApiError, match=sentence):
        check(machines, [])


def test_a_channel_for_an_unknown_group_is_refused():
    check(MACHINES, [channel("train", "small")])
    with pytest.raises(ApiError, match="'huge', which ResourceConfig lacks; its groups: big, sm"):
        check(MACHINES, [channel("train", "huge")])
    with pytest.raises(ApiError, match="'big', which ResourceConfig lacks; its groups: none"):
        check({"InstanceType": "ml.m5.large"}, [channel("train", "big")])


@pytest.mark.parametrize("kind, name", [("EFS", "EFS"), ("FSxLustre", "FSx for Lustre")])
def test_a_file_system_is_named_in_one_sentence(kind, name):
    system = {"FileSystemId": "fs-0123456789", "FileSystemType": kind}
    with pytest.raises(ApiError) as caught:
        check_channels([channel("train", FileSystemDataSource=system)], "File")
    assert caught.value.message == (
        f"local SageMaker: channel 'train' lies on {name} (fs-0123456789), which only hosts in its "
        "VPC can mount; copy its photos to S3, and name them in an S3DataSource"
    )
