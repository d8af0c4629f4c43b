"""The recorded trainings on which bench/search.py compares searches, and one search on them."""

import numpy as np

from bench.search import compared, nearest, outcomes_of
from bench.searching.tables import read_tables


def test_there_are_twenty_tables_of_real_trainings():
    tables = read_tables()
    assert len(tables) >= 20
    for table in tables:
        assert len(table.configurations) == len(table.curves) >= 40
        assert {len(curve) for curve in table.curves} == {9}
        values = np.array(table.curves)
        assert 0 < values.min() < values.max() <= 1
        assert nearest(table, table.configurations[table.own]) == table.own


def test_a_search_over_epochs_sees_more_configurations_for_the_same_epochs():
    table = read_tables()[0]
    [random] = outcomes_of(table, "random", 1)
    [hyperband] = outcomes_of(table, "hyperband", 1)
    assert random.trials == 12
    assert hyperband.trials > 12
    assert 0 <= hyperband.regret < 1


def test_a_ratio_of_itself_is_one():
    regrets = np.array([[0.1, 0.2, 0.3], [0.0, 0.1, 0.2]])
    assert compared(regrets, regrets) == (1, 1, 1)
    ratio, low, high = compared(regrets / 2, regrets)
    assert low <= ratio <= high
