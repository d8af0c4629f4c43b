"""Whole trainings: on sound ones no rule fires, and each sick one is found by its rule."""

import shutil
from pathlib import Path

import pytest

from bench.diagnosis.cases import SICK, SOUND, Case
from bench.rules import figures, judge

pytestmark = pytest.mark.verify


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return figures(tmp_path_factory.mktemp("figures"))


@pytest.mark.parametrize("case", [*SOUND, *SICK], ids=lambda case: case.name.replace(" ", "_"))
def test_the_right_rules_fire(tmp_path, photos, case: Case):
    answer = judge(case, photos, tmp_path)
    assert answer.is_right, answer
    shutil.rmtree(tmp_path, ignore_errors=True)
