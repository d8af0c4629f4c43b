"""The most that a recipe costs: sums, the budget's bound, the printed table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from launch import cost as costs
from launch.cost import Prices, batch_cost, check_budget, endpoint_cost, most, training_cost
from launch.errors import LaunchError
from launch.recipe import Recipe
from recipes.preparation import Preparation
from tests.support.launching import recipe

PRICES = Prices(
    as_of="today",
    region="eu-west-1",
    instances={"ml.g5.xlarge": 3.0, "ml.c6i.xlarge": 2.0, "ml.c6i.2xlarge": 5.0},
    spot_share=0.25,
    volume_gb_month=0.73,  # 0.001 USD per GB and hour
    serverless_gb_s=0.5,
    provisioned_gb_s=0.001,
)
TABLE = """\
as_of: today
region: eu-west-1
instances: {ml.g5.xlarge: 3, ml.c6i.xlarge: 2, ml.c6i.2xlarge: 5}
spot_share: 0.25
volume_gb_month: 0.73
serverless_gb_s: 0.5
provisioned_gb_s: 0.001
"""


def test_a_training_costs_its_machines_and_their_volumes():
    one = recipe(training={"instance_count": 2, "volume_gb": 100})
    assert training_cost(one, PRICES, 3600) == pytest.approx(2 * (3.0 + 0.1))
    assert training_cost(one, PRICES, 1800, 3) == pytest.approx(3 * 2 * (3.0 + 0.1) / 2)


def test_spot_makes_instances_cheaper_and_volumes_not():
    one = recipe(training={"spot": True, "volume_gb": 100})
    assert training_cost(one, PRICES, 3600) == pytest.approx(0.75 + 0.1)


def test_programs_get_a_json_object_per_line(tmp_path):
    (tmp_path / "prices.yaml").write_text(TABLE)
    lines: list[str] = []
    one = recipe(training={"expected_s": 3600})
    assert costs.cost(one, tmp_path / "prices.yaml", lines.append, as_json=True) == 0
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows][:2] == ["training, as expected", "training, at most"]
    assert rows[0]["dollars"] == pytest.approx(3.05)
    assert rows[0]["region"] == "eu-west-1"


def test_an_endpoint_costs_its_instances_all_month():
    one = recipe(endpoint={"instance_count": 3})
    assert endpoint_cost(one, PRICES) == pytest.approx(3 * 2.0 * 730)
    assert endpoint_cost(one, PRICES, 1) == pytest.approx(2.0 * 730)


def test_a_serverless_endpoint_costs_its_memory_and_time():
    settings = {"kind": "serverless", "memory_mb": 2048, "expected_invocations": 1000}
    assert endpoint_cost(recipe(endpoint=settings), PRICES) == pytest.approx(2 * 100 * 0.5)
    settings["provisioned_concurrency"] = 2
    kept_warm = 2 * 3600 * 730 * 0.001
    assert endpoint_cost(recipe(endpoint=settings), PRICES) == pytest.approx(2 * (50 + kept_warm))


def test_a_transform_job_costs_its_expected_time():
    one = recipe(batch={"instance_count": 2, "expected_s": 900})
    assert batch_cost(one, PRICES) == pytest.approx(2 * 5.0 / 4)


def test_the_budget_is_the_last_sum_that_may_be_spent():
    def budgeted(dollars: float) -> Recipe:
        return recipe(budget_usd=dollars, training={"max_run_s": 3600, "volume_gb": 0})

    assert most(budgeted(3), PRICES, "training") == 3.0
    check_budget(budgeted(3), "training", over=False, prices=PRICES)
    check_budget(budgeted(0), "training", over=False, prices=PRICES)
    check_budget(budgeted(2.99), "training", over=True, prices=PRICES)
    expected = "the training may cost up to 3.00 USD, and sagemaker.budget_usd is 2.99; "
    with pytest.raises(LaunchError, match=expected):
        check_budget(budgeted(2.99), "training", over=False, prices=PRICES)


def test_a_search_costs_all_of_its_trainings(script):
    one = script().context.recipe  # the demo's search: 4 trainings
    assert costs.tuning_jobs(one) == {"demo": 4}
    prices = Prices("", "", {"ml.m5.xlarge": 1.0}, 1.0, 0.0, 0.0, 0.0)
    assert most(one, prices, "training") == pytest.approx(1.0)
    assert most(one, prices, "tuning") == pytest.approx(4.0)


def printed(one: Recipe, table: Path) -> list[str]:
    lines: list[str] = []
    table.write_text(TABLE)
    assert costs.cost(one, table, lines.append) == 0
    return lines


def test_the_table_of_a_recipe(tmp_path):
    settings = {"expected_s": 1800, "max_run_s": 3600, "spot": True, "volume_gb": 0}
    one = recipe(region="eu-west-1", training=settings, endpoint={"max_instances": 2})
    assert printed(one, tmp_path / "prices.yaml") == [
        "training, as expected                    0.38 USD  1800 s",
        "training, at most                        0.75 USD  3600 s on 1 x ml.g5.xlarge spot",
        "endpoint (real-time), per month       1460.00 USD  1 x ml.c6i.xlarge, day and night",
        "endpoint, scaled out all month        2920.00 USD  2 x ml.c6i.xlarge",
        "batch, as expected                       5.00 USD  3600 s on 1 x ml.c6i.2xlarge",
        "total, at most                        2925.75 USD  "
        "all of it once, and a month of the endpoint",
        "prices of eu-west-1 (today); without transfer, S3, logs and taxes",
    ]


def test_the_table_of_a_recipe_without_an_expected_time(tmp_path):
    endpoint = {"kind": "serverless", "max_instances": 2, "memory_mb": 1024}
    one = recipe(region="eu-west-2", training={"volume_gb": 0}, endpoint=endpoint)
    assert printed(one, tmp_path / "prices.yaml") == [
        "training, at most                       72.00 USD  86400 s on 1 x ml.g5.xlarge",
        "endpoint (serverless), per month      5000.00 USD  100000 invocations",
        "batch, as expected                       5.00 USD  3600 s on 1 x ml.c6i.2xlarge",
        "total, at most                        5077.00 USD  "
        "all of it once, and a month of the endpoint",
        "prices of eu-west-1 (today), not of eu-west-2: give its own with --prices; "
        "without transfer, S3, logs and taxes",
    ]


@pytest.mark.parametrize("max_instances, lines", [(0, 1), (2, 1), (3, 2)])
def test_only_more_instances_than_at_the_start_have_a_line(max_instances, lines):
    one = recipe(endpoint={"instance_count": 2, "max_instances": max_instances})
    assert len(costs.endpoint_lines(one, PRICES)) == lines


def test_an_endpoint_that_may_sleep_has_a_line_for_that():
    one = recipe(endpoint={"kind": "async", "min_instances": 0, "max_instances": 1})
    assert [line.dollars for line in costs.endpoint_lines(one, PRICES)] == [2.0 * 730, 0.0]


def test_both_jobs_of_prepare_are_counted(tmp_path):
    one = recipe(preparation={"instance_type": "ml.c6i.xlarge", "instance_count": 3})
    assert costs.preparation_lines(one, PRICES) == []
    named = replace(one, prepare=Preparation(photos="photos"))
    (line,) = costs.preparation_lines(named, PRICES)
    assert line.dollars == pytest.approx(4 * (2.0 + 0.05) * 6)
    assert line.reason == "21600 s on 3 x ml.c6i.xlarge, then on one"
    without = costs.cost_lines(one, PRICES)[-1].dollars
    assert costs.cost_lines(named, PRICES)[-1].dollars == pytest.approx(without + line.dollars)


def test_no_line_says_that_other_prices_are_meant_where_no_region_is_set(tmp_path):
    assert printed(recipe(), tmp_path / "prices.yaml")[0].startswith("training, at most")


def test_the_most_of_a_search_is_the_one_that_check_names(script):
    one = script().context.recipe  # 4 trainings, 300 s each as expected, 3600 s at most
    prices = Prices("", "", {"ml.m5.xlarge": 12.0}, 1.0, 0.0, 0.0, 0.0)
    lines = costs.tuning_lines(one, prices)
    assert [(line.step, line.reason) for line in lines] == [
        ("tuning demo, as expected", "4 trainings of 300 s"),
        ("tuning demo, at most", "4 trainings of 3600 s"),
    ]
    assert [line.dollars for line in lines] == pytest.approx([4.0, 48.0])
    assert lines[-1].dollars == most(one, prices, "tuning")


def test_another_regions_prices_are_estimated_and_say_so(script):
    """The demo's recipe is of eu-west-1, and the table of us-east-1."""
    table = costs.read_prices()
    prices = costs.prices_of(script().context.recipe)
    factor = table.other_regions["eu-west-1"]
    assert prices.hour("ml.m5.xlarge") == pytest.approx(factor * table.hour("ml.m5.xlarge"))
    assert prices.region == "eu-west-1"
    words = f"prices of eu-west-1, estimated: {factor:g} times us-east-1's ({table.as_of})"
    assert prices.source == words
    assert table.of_region("").hour("ml.m5.xlarge") == table.hour("ml.m5.xlarge")


@pytest.mark.parametrize(
    "content, expected",
    [
        (None, "cannot be read: No such file or directory"),
        ("- 1", "is not a price table"),
        ("instances: {a: dear}", "is not a price table"),
        ("instances: {a: 1}", r"is not a price table \(KeyError\('as_of'\)\)"),
        ("a: [", "is not a price table"),
        ("instances: [1]", "is not a price table"),
    ],
)
def test_a_file_that_is_no_price_table(tmp_path, content, expected):
    table = tmp_path / "prices.yaml"
    if content is not None:
        table.write_text(content)
    with pytest.raises(LaunchError, match=expected):
        costs.read_prices(table)
