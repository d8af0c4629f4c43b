"""The hosts of a job, as resourceconfig.json names them."""

import json

import pytest

from tests.support.jobs import make_job
from train.distributed.rendezvous import hosts
from train.job import JobError

GROUPS = [
    {"instance_group_name": "a", "hosts": ["algo-1"]},
    {"instance_group_name": "b", "hosts": ["algo-2"]},
]


@pytest.mark.parametrize(
    "content, expected",
    [
        (
            {"hosts": ["algo-2", "algo-10", "algo-1"], "current_host": "algo-2"},
            (["algo-1", "algo-10", "algo-2"], "algo-2", ""),
        ),
        (
            {"hosts": ["algo-1"], "current_host": "algo-1", "network_interface_name": "eth0"},
            (["algo-1"], "algo-1", "eth0"),
        ),
        (
            {
                "hosts": ["algo-2"],
                "current_host": "algo-2",
                "current_group_name": "b",
                "instance_groups": GROUPS,
            },
            (["algo-1", "algo-2"], "algo-2", ""),
        ),
    ],
)
def test_the_hosts_are_those_of_all_groups(tmp_path, content, expected):
    job = make_job(tmp_path, {"train": 1})
    assert hosts(job) == (["algo-1"], "algo-1", "")
    (job.root / "input/config/resourceconfig.json").write_text(json.dumps(content))
    assert hosts(job) == expected


@pytest.mark.parametrize(
    "content", ["[", "[]", '{"hosts": ["algo-1"], "current_host": "algo-3"}', '{"hosts": 5}', "{}"]
)
def test_a_wrong_resourceconfig_is_named(tmp_path, content):
    job = make_job(tmp_path, {"train": 1})
    (job.root / "input/config/resourceconfig.json").write_text(content)
    with pytest.raises(JobError, match="resourceconfig.json"):
        hosts(job)
