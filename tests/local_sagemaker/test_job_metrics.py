"""The metrics that a job's output holds."""

from local_sagemaker.jobs.metrics import JobMetrics


def test_metrics_are_the_last_numbers_printed():
    values: list[dict] = []
    metrics = JobMetrics(
        [{"Name": "loss", "Regex": r"loss=([a-z0-9.-]+)"}, {"Name": "word", "Regex": "is (.*)"}],
        values.append,
    )
    lines = (
        "loss=0.5",
        "not a number",
        "loss=0.25; then more",
        "it is nan",
        "loss=nan",
        "loss=-inf",
    )
    for line in lines:
        metrics.read(line)
    # "is (.*)" matches words, which are no metric.
    assert [(entry["MetricName"], entry["Value"]) for entry in metrics.final()] == [("loss", 0.25)]
    assert [entry["Value"] for entry in values] == [0.5, 0.25]
