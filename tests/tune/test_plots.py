"""The pictures' numbers, exactly: places in SVG units, marks, steps, opacity."""

import math
from dataclasses import replace

import pytest

from tests.support.searches import alone, chain, trial
from tune.parallel import _crowded, parallel
from tune.plots import MOST_POINTS, Plot, _mark, curves, faint, history, words_of
from tune.ranking import Ranking


def drawn(plot: Plot | None) -> Plot:
    """A picture that is there."""
    assert plot is not None
    return plot


def ranking(*values: float | None, direction: str = "Maximize") -> Ranking:
    """One job of h0, whose trials are t1, t2, … with these values."""
    trials = []
    for number, value in enumerate(values, start=1):
        trials.append(trial(f"t{number}", value, h0=f"0.{number}"))
    return Ranking(alone(trials, direction, names=1))


@pytest.mark.parametrize(
    "job, path",
    [
        (0, "M6.6 20a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0Z"),
        (1, "M7 17h6v6h-6Z"),
        (2, "M10 15.8l4.2 4.2l-4.2 4.2l-4.2 -4.2Z"),
        (3, "M10 16l4 6.52h-8Z"),
        (4, "M6.6 20a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0Z"),
    ],
)
def test_each_job_has_its_mark(job, path):
    assert _mark(job, 10, 20) == path


@pytest.mark.parametrize(
    "lines, opacity", [(0, 0.85), (1, 0.85), (49, 0.85), (64, 0.75), (144, 0.5), (10_000, 0.25)]
)
def test_many_lines_are_fainter(lines, opacity):
    assert faint(lines) == opacity


def test_a_trial_in_one_line():
    one = ranking(0.123456789)
    assert words_of(one.entries[0], one) == "t1: Completed 0.123457; h0 0.1"
    lost = ranking(None)
    assert words_of(lost.entries[0], lost) == "t1: Completed; h0 0.1"


def test_history_places_each_trial():
    plot = drawn(history(ranking(0.0, 1.0, None, 0.5)))
    assert plot["count"] == 4
    assert [(round(x, 2), words) for x, words in plot["lost"]] == [
        (316.0, "t3: Completed; h0 0.3; out of memory")
    ]
    places = [mark.path.partition("a")[0] for mark in plot["marks"]]
    assert places == ["M64.6 198", "M188.6 12", "M436.6 105"]
    assert [mark.job for mark in plot["marks"]] == [0, 0, 0]
    assert [mark.filled for mark in plot["marks"]] == [True, True, True]
    assert plot["best"] == "M68 198H192V12H316H440V12"
    assert plot["logarithmic"] is False
    assert plot["between"] == []
    assert plot["jobs"] == [("search", 0, _mark(0, 6, 6))]


def test_the_best_so_far_falls_in_a_search_that_minimizes():
    plot = drawn(history(ranking(1.0, 0.0, 0.5, direction="Minimize")))
    assert plot["best"] == "M68 12H254V198H440V198"


def test_a_running_trial_is_hollow_and_no_best():
    trials = [trial("t1", 0.0, h0="0"), trial("t2", 1.0, "InProgress", h0="0")]
    plot = drawn(history(Ranking(alone(trials, names=1))))
    assert [mark.filled for mark in plot["marks"]] == [True, False]
    assert plot["best"] == "M68 198H440"


def test_lines_stand_between_jobs():
    first, second, *_ = chain()
    plot = drawn(history(Ranking((first, second))))
    assert [round(place, 3) for place in plot["between"]] == [254.0]
    assert [(name, colour) for name, colour, _ in plot["jobs"]] == [("yoga-1", 0), ("yoga-2", 1)]
    empty = replace(first, trials=())
    assert drawn(history(Ranking((empty, second))))["between"] == []
    one = replace(first, trials=first.trials[:1])
    assert drawn(history(Ranking((one,))))["between"] == []


def test_colours_begin_again_after_eight_jobs():
    first, *_ = chain()
    jobs = tuple(replace(first, name=f"job-{number}") for number in range(9))
    plot = drawn(history(Ranking(jobs)))
    assert [colour for _, colour, _ in plot["jobs"]] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    assert plot["marks"][-1].job == 0


def test_without_values_there_is_no_picture():
    assert history(ranking(None, None)) is None
    assert parallel(ranking(None)) is None
    assert curves(ranking(None)) is None
    odd = [replace(trial("t1", 0.5, h0="0"), curve=(math.nan, math.inf))]
    assert curves(Ranking(alone(odd, names=1))) is None


def test_a_learning_curve_goes_from_edge_to_edge():
    (one,) = ranking(1.0).jobs
    trials = (replace(one.trials[0], curve=(0.0, 1.0, 0.5)),)
    plot = drawn(curves(Ranking((replace(one, trials=trials),))))
    (line,) = plot["lines"]
    assert line["path"] == "M66 202L253 12L440 107"
    assert line["end"] == (440.0, 107.0)
    assert line["dots"] == []
    assert line["best"] is True
    assert line["stopped"] is False
    assert line["failed"] is False
    assert plot["longest"] == 3
    assert plot["opacity"] == 0.85


def test_a_curve_has_gaps_and_at_most_so_many_points():
    (one,) = ranking(1.0).jobs
    gap = replace(one.trials[0], curve=(0.0, math.nan, 1.0), status="Stopped")
    long = replace(one.trials[0], curve=tuple(map(float, range(5000))), status="Failed")
    plot = drawn(curves(Ranking((replace(one, trials=(gap, long)),))))
    second, first = plot["lines"]  # the best is drawn last
    assert first["path"].count("M") == 2
    assert len(first["dots"]) == 2
    assert first["stopped"] is True
    assert second["failed"] is True
    assert second["path"].count("L") == MOST_POINTS - 1
    assert plot["longest"] == 5000
    last_lost = replace(one.trials[0], curve=(0.5, math.inf))
    plot = drawn(curves(Ranking((replace(one, trials=(last_lost,)),))))
    assert plot["lines"][0]["end"][0] == 66.0


@pytest.mark.parametrize(
    "names, width, places",
    [
        (1, 428, [84, 344]),
        (2, 688, [84, 344, 604]),
        (3, 1040, [84, 374.67, 665.33, 956]),
        (9, 1230, [84, 202, 320, 438, 556, 674, 792, 910, 1028, 1146]),
    ],
)
def test_axes_share_the_width(names, width, places):
    one = Ranking(alone([trial("t1", 0.5)], names=names))
    plot = drawn(parallel(one))
    assert plot["width"] == width
    assert [round(axis["x"], 2) for axis in plot["axes"]] == places
    assert [axis["last"] for axis in plot["axes"]] == [False] * names + [True]


def test_lines_are_ordered_by_their_share_with_the_best_on_top():
    plot = drawn(parallel(ranking(0.2, 0.8, 0.5, 0.5)))
    assert [line["share"] for line in plot["lines"]] == [0.0, 0.5, 0.5, 1.0]
    assert [line["best"] for line in plot["lines"]] == [False, False, False, True]
    assert plot["lines"][0]["path"].startswith("M84 ")
    single = drawn(parallel(ranking(0.5)))
    assert [line["share"] for line in single["lines"]] == [1.0]
    assert single["height"] == 352
    assert single["longest"] == 22


def test_heights_are_of_the_value_in_its_range():
    trials = [trial("t1", 1.0, h0="-1"), trial("t2", 0.0, h0="1"), trial("t3", 0.5, h0="x")]
    (job,) = alone(trials[:2], names=1)
    plot = drawn(parallel(Ranking((job,))))
    assert [line["path"] for line in plot["lines"]] == ["M84 48L344 326", "M84 326L344 48"]
    sgd = [trial("t1", 1.0, h4="sgd"), trial("t2", 0.0, h4="adamw")]
    plot = drawn(parallel(Ranking(alone(sgd, names=5))))
    axis = plot["axes"][4]
    assert [round(place, 1) for place, _ in axis["ticks"]] == [312.0, 187.0, 62.0]


def test_names_that_would_touch_stand_in_two_rows():
    assert not _crowded(["a" * 10, "b" * 10], 72.0)
    assert _crowded(["a" * 10, "b" * 11], 75.0)
    assert not _crowded(["a" * 50, "b" * 50], 22 * 7.2)  # longer names are cut
    (job,) = alone([trial("t1", 0.5)], names=1)
    long = replace(job, ranges={"n" * 40: job.ranges["h0"], "m" * 40: job.ranges["h0"]})
    crowded = replace(long, ranges={f"{'n' * 40}{i}": job.ranges["h0"] for i in range(9)})
    assert [axis["row"] for axis in drawn(parallel(Ranking((long,))))["axes"]] == [0, 0, 0]
    rows = [axis["row"] for axis in drawn(parallel(Ranking((crowded,))))["axes"]]
    assert rows == [0, 1] * 5


def test_many_categories_have_fewer_labels():
    trials = [trial(f"t{i}", 0.5, h4=f"c{i:02d}") for i in range(26)]
    axis = drawn(parallel(Ranking(alone(trials, names=5))))["axes"][4]
    assert len(axis["ticks"]) == 10  # 3 of the range and 26 tried, every third
