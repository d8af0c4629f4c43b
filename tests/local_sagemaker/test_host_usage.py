"""The use of the machine by a job's hosts: measured as it runs, and shown by the console."""

import os

from local_sagemaker.console.kinds import KINDS
from local_sagemaker.console.pages import Pages
from local_sagemaker.jobs import training
from local_sagemaker.jobs.host_usage import HostUsage, entry
from local_sagemaker.metric_history import MetricHistory
from local_sagemaker.platform import Platform
from tests.support.sagemakers import training_request, until


def page(platform: Platform, name: str) -> str:
    """The console's page of a training that nothing runs for."""
    training.add(platform, training.first_record(training_request(name), "eu-west-1"))
    record = platform.store.find(KINDS["training-jobs"].store, name)
    assert record is not None
    return Pages(platform).one(KINDS["training-jobs"], record, "a token").decode()


def test_a_page_has_a_chart_for_each_part_with_a_line_per_host(tmp_path):
    platform = Platform(tmp_path, "process")
    for at in range(3):
        for host in ("algo-1", "algo-2"):
            for name in ("CPUUtilization", "MemoryUtilization"):
                platform.training_usage.put("busy", entry(name, host, 40.0 + at, 100 + at))
    text = page(platform, "busy")
    assert "Use of the machine" in text
    assert "Processor over seconds since the first value: algo-1 42, algo-2 42" in text
    assert "Memory over seconds" in text
    assert text.count("% of the machine") == 2
    assert "Use of the machine" not in page(platform, "idle")


def test_a_host_is_measured_until_its_job_ends(tmp_path):
    history = MetricHistory(tmp_path)
    usage = HostUsage("mine", {"algo-1": lambda: [os.getpid()], "gone": list}, history)
    usage.start()
    wanted = {"CPUUtilization", "MemoryUtilization"}
    until(lambda: wanted <= {one["MetricName"] for one in history.of_job("mine")})
    usage.end()
    usage.join(10)
    assert not usage.is_alive()
    values = history.of_job("mine")
    assert {one["Host"] for one in values} == {"algo-1"}
    assert all(0 <= one["Value"] <= 100 for one in values)
