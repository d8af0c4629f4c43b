"""tuning.html: every figure is there, its numbers are the results', any names make a page."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.support.searches import alone, chain, many, trial
from tune.importances import importances
from tune.page import write_page
from tune.parallel import parallel
from tune.plots import Plot, curves, history
from tune.ranking import Ranking


class Page(HTMLParser):
    """A page's elements; fails on tags that do not close."""

    VOID = {"meta", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.elements:
            self.elements[-1][2].append(data)

    def all(self, tag: str, style: str = "") -> list[tuple[dict, str]]:
        """Attributes and text of the elements of a kind, and of a class if it is given."""
        found = [
            (attributes, "".join(words)) for name, attributes, words in self.elements if name == tag
        ]
        return [
            (attributes, words)
            for attributes, words in found
            if not style or style in (attributes.get("class") or "").split()
        ]


def page(tmp_path, jobs) -> tuple[str, Page]:
    write_page(tmp_path / "tuning.html", jobs)
    text = (tmp_path / "tuning.html").read_text(encoding="utf-8")
    assert not re.search(r'\b(d|cx|cy|x|y|x1|width)="[^"]*(nan|inf)', text)
    return text, Page(text)


@pytest.mark.slow
def test_a_chain_has_every_figure_and_number(tmp_path):
    text, parsed = page(tmp_path, chain())
    ranking = Ranking(chain())
    keys = [
        attributes["data-key"] for attributes, _ in parsed.all("td") if "data-key" in attributes
    ]
    width = (
        3 + len(ranking.columns) + 2
    )  # cells with a key beside the trial's name, which is a head
    assert [float(key) for key in keys[width - 1 :: width] if key] == [
        entry.value for entry in ranking.ranked
    ]
    assert len(parsed.all("path", "mark")) == 27 + 4
    assert len(parsed.all("path", "line")) == 27  # trials, and the jobs in the legend
    assert len(parsed.all("g", "trial")) == 27
    assert len(parsed.all("g", "best")) == 1
    assert len(parsed.all("path", "lost")) == 1
    assert len(parsed.all("svg", "parallel")) == 1
    assert len(parsed.all("path", "so-far")) == 2
    assert "out of memory" in text
    assert "validation_accuracy" in text
    shares = [
        float(attributes["style"].removeprefix("width:").removesuffix("%"))
        for attributes, _ in parsed.all("i")
        if "style" in attributes
    ]
    assert shares[0] == 100.0
    assert shares[26] == round(100 * ranking.ranked[-1].score / 0.85, 1)
    assert len(shares) == 27 + len(ranking.columns)


@pytest.mark.slow
def test_the_best_hyperparameters_can_be_copied(tmp_path):
    _, parsed = page(tmp_path, chain())
    assert json.loads(parsed.all("pre")[0][1]) == {
        "lr": "0.125",
        "batch_size": "30",
        "epochs": "6",
        "model": "vgg16",
    }


def test_the_page_asks_nothing_of_the_network(tmp_path):
    text, parsed = page(tmp_path, chain())
    assert [
        value
        for _, attributes, _ in parsed.elements
        for name, value in attributes.items()
        if name in ("src", "href") and not (value or "").startswith("#")
    ] == []
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)
    script = re.search(r"<script>(.*)</script>", text, re.S)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in text
    assert text.count("<script") == 1


def test_names_are_text_never_markup(tmp_path):
    bad = "<script>alert(1)</script>\"' onload=x & {{ 7 * 7 }}"
    trials = [
        replace(trial(bad + str(index), 0.1 * index, **{bad: bad}), reason=bad)
        for index in range(12)
    ]
    trials.append(replace(trial("f" + bad, None, "Failed", **{bad: bad}), reason=bad))
    (job,) = alone(trials, names=0)
    jobs = (
        replace(
            job,
            name=bad,
            objective=bad,
            strategy=bad,
            parents=(bad,),
            warm_start=bad,
            static={bad: bad, "other" + bad: bad},
            ranges={bad: {"type": "Categorical", "values": [bad, "b"]}},
        ),
    )
    text, parsed = page(tmp_path, jobs)
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    assert "7 * 7" in text
    assert not [
        name for _, attributes, _ in parsed.elements for name in attributes if name.startswith("on")
    ]
    assert json.loads(parsed.all("pre")[0][1])[bad] == bad


@pytest.mark.parametrize("names", range(1, 9))
def test_any_number_of_hyperparameters(tmp_path, names):
    jobs = alone(many(12, names), "Minimize", names)
    _, parsed = page(tmp_path, jobs)
    assert len(parsed.all("path", "line")) == 12
    assert len(parsed.all("text", "name")) == names + 1


@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_any_number_of_trials(tmp_path, count):
    text, parsed = page(tmp_path, alone(many(count, 3), "Minimize", 3))
    assert len(parsed.all("path", "line")) == count
    assert len(text) < 600_000


@pytest.mark.parametrize(
    "jobs",
    [
        alone([trial("a", None, "Failed", h0="1"), trial("b", None, "Failed", h0="2")], names=1),
        alone(many(15, 2, lambda share: 0.5)),
        alone(many(15, 2, lambda share: 1e30 if share > 0.9 else share), "Minimize"),
        alone(many(15, 2, lambda share: -share), "Minimize"),
        alone([replace(each, curve=(float("nan"), float("inf"), 0.1)) for each in many(11, 2)]),
        alone([trial("a", 0.5, h0="1e400", h1="0")], names=2),
        alone([trial("a", 0.5, h0="x", h1="-1"), trial("b", 0.6, h1="0")], names=2),
        alone([replace(each, curve=()) for each in many(11, 2)]),
        alone([replace(each, curve=tuple(range(5000))) for each in many(3, 2)]),
        alone([replace(each, started="yesterday", ended=None) for each in many(3, 2)]),
        alone(many(3, 0), names=0),
        alone([trial("a", 0.5, h4=f"c{index}") for index in range(40)], names=5),
    ],
)
def test_odd_searches_make_a_page(tmp_path, jobs):
    page(tmp_path, jobs)


def test_a_page_needs_a_job(tmp_path):
    with pytest.raises(ValueError, match="one tuning job"):
        write_page(tmp_path / "tuning.html", ())


def test_importances_find_what_matters():
    trials = [
        trial(
            f"t{index}",
            abs(index % 7 - 3) / 3,
            h0=str(round(index % 7 / 3 - 1, 3)),
            h1=("0.5", "0.1", "0.01")[index % 3],
        )
        for index in range(42)
    ]
    jobs = alone(trials, "Minimize")
    shares, why = importances(Ranking(jobs))
    assert why == ""
    assert list(shares)[0] == "h0"
    assert shares["h0"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "jobs, sentence",
    [
        (alone(many(9, 2)), "9 trials have a value: 10 or more"),
        (alone(many(20, 2, lambda share: 1.0)), "same objective"),
        (alone([trial("a", 0.5)], names=0), "Nothing was searched"),
    ],
)
def test_importances_say_why_there_are_none(jobs, sentence):
    shares, why = importances(Ranking(jobs))
    assert shares == {}
    assert sentence in why


def drawn(plot: Plot | None) -> Plot:
    """A picture that is there."""
    assert plot is not None
    return plot


def test_the_best_so_far_never_falls_and_begins_anew_on_other_data():
    valued = Ranking(
        alone(
            [trial(f"t{index}", value, h0="0") for index, value in enumerate((0.5, 0.4, 0.7, 0.6))],
            names=1,
        )
    )
    path = drawn(history(valued))["best"]
    steps = [float(step) for step in re.findall(r"(?:V|M\S+ )([\d.]+)", path)]
    assert steps == sorted(steps, reverse=True)
    assert len(steps) == 4  # upwards in SVG is less
    first, second, *_ = chain()
    transfer = Ranking((first, replace(second, warm_start="TransferLearning")))
    assert drawn(history(transfer))["best"].count("M") == 2


def test_axes_show_the_scales_of_the_search():
    axes = drawn(parallel(Ranking(alone(many(30, 5), "Minimize", 5))))["axes"]
    assert [axis["scale"] for axis in axes] == [
        "",
        "logarithmic",
        "reverse logarithmic",
        "",
        "categories",
        axes[-1]["scale"],
    ]
    places = [place for place, _ in axes[1]["ticks"]]
    gaps = [round(a - b, 0) for a, b in itertools.pairwise(places)]
    assert [words for _, words in axes[1]["ticks"]] == [
        "1e-05",
        "0.0001",
        "0.001",
        "0.01",
        "0.1",
        "1",
    ]
    assert max(gaps) - min(gaps) <= 1
    assert [words for _, words in axes[4]["ticks"]] == ["sgd", "adam", "adamw"]
    assert {"0.9", "0.99", "0.999"} <= {words for _, words in axes[2]["ticks"]}


def test_curves_put_the_best_on_top_and_mark_the_stopped():
    lines = drawn(curves(Ranking(chain())))["lines"]
    assert len(lines) == 27
    assert [line["best"] for line in lines].index(True) == 26
    assert sum(line["stopped"] for line in lines) == 1
