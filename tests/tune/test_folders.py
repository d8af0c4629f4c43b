"""What a search keeps on disk: its settings, fingerprint, results, CSV and best files."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from recipes.recipe import read_recipe
from slipway.project import photos_of
from tests.support.chains import settings
from tests.support.searches import alone, trial
from tune.best_files import write_best
from tune.csv_file import FIRST, LAST, write_csv
from tune.errors import SearchError, sentence_of
from tune.results import ResultsError, Trial, TuningJob, read_results, sign_of, write_results
from tune.search_settings import (
    SearchSettings,
    find_channels,
    fingerprint,
    fingerprint_beside,
    read_settings,
)


def filled(folder: Path) -> SearchSettings:
    """Settings in which no field has its default."""
    return SearchSettings(
        folder,
        {"name": "small"},
        {"lr": "0.1"},
        {"train": folder / "train"},
        (folder / "parent.json",),
        engine="process",
        image="mine",
        keep=True,
    )


def test_settings_come_back_as_they_were(tmp_path):
    kept = replace(filled(tmp_path), storage="sqlite://", recipe_file=tmp_path / "r.yaml")
    kept.write()
    assert read_settings(tmp_path) == replace(kept, storage=None, recipe_file=None)
    assert read_settings(tmp_path, "sqlite://").storage == "sqlite://"
    kept.write()  # the same photos
    other = replace(kept, channels={"train": tmp_path / "other"})
    with pytest.raises(SearchError) as caught:
        other.write()
    assert str(caught.value) == (
        f"'{tmp_path}' holds a search on other photos ({tmp_path}/train; now {tmp_path}/other); "
        "name another --out, or remove it"
    )


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("{", "is not a search's settings ("),
        ("[]", "is not a search's settings ("),
        ("{}", "has format_version None, this is 1; name another --out, or remove it"),
        ('{"format_version": 2}', "has format_version 2, this is 1"),
    ],
)
def test_foreign_settings_are_refused(tmp_path, text, sentence):
    (tmp_path / "search.json").write_text(text)
    with pytest.raises(SearchError) as caught:
        read_settings(tmp_path)
    assert f"'{tmp_path}/search.json' {sentence}" in str(caught.value)


def test_the_fingerprint_follows_names_and_sizes(tmp_path):
    train = tmp_path / "train" / "a"
    train.mkdir(parents=True)
    (train / "1.jpg").write_bytes(b"123")
    channels = {"train": tmp_path / "train"}
    first = fingerprint(channels)
    assert len(first) == 64
    (train / "1.jpg").write_bytes(b"abc")
    assert fingerprint(channels) == first  # names and sizes alone
    assert fingerprint({"test": tmp_path / "train"}) != first
    (train / "1.jpg").write_bytes(b"1234")
    assert fingerprint(channels) != first
    (train / "1.jpg").rename(train / "2.jpg")
    assert fingerprint({}) != first


def test_the_fingerprint_beside_results_is_that_of_its_search(tmp_path):
    assert fingerprint_beside(tmp_path / "tuning.json") == ""
    kept = filled(tmp_path)
    kept.write()
    assert fingerprint_beside(tmp_path / "tuning.json") == fingerprint(kept.channels)


def test_channels_are_the_folders_beside_one_of_training_classes(tmp_path):
    assert find_channels(tmp_path) == {}
    (tmp_path / "train").mkdir()
    (tmp_path / "validation").mkdir()
    (tmp_path / "readme.md").touch()
    (tmp_path / "train" / "photo.jpg").touch()
    assert find_channels(tmp_path) == {}  # photos, but no classes
    (tmp_path / "train" / "a").mkdir()
    assert find_channels(tmp_path) == {
        "train": tmp_path / "train",
        "validation": tmp_path / "validation",
    }


def test_a_trial_has_its_folder(tmp_path):
    assert filled(tmp_path).tree("job", "job-001") == tmp_path / "trials" / "job" / "job-001"


def test_parents_are_known_by_name(tmp_path):
    first, second = alone([trial("a", 0.5)]) * 2
    write_results(tmp_path / "one.json", (first,))
    write_results(tmp_path / "two.json", (replace(second, name="other"),))
    asked = replace(settings({}), parents=(tmp_path / "one.json", tmp_path / "two.json"))
    assert list(asked.known_parents()) == ["search", "other"]


@pytest.mark.parametrize(
    "direction, order, best", [("Maximize", "dcba", "c"), ("Minimize", "abcd", "b")]
)
def test_results_in_order_and_the_best_that_ended(direction, order, best):
    trials = [
        trial("a", 0.1, "InProgress"),
        trial("b", 0.2, "Stopped"),
        trial("c", 0.3),
        trial("d", 0.4, "Failed"),
        trial("e", None),
    ]
    (job,) = alone(trials, direction)
    assert "".join(each.name for each in job.ordered()) == order
    found = job.best()
    assert found is not None
    assert found.name == best
    assert replace(job, trials=()).best() is None
    assert sign_of("Maximize") == 1
    assert sign_of("Minimize") == -1


CHANGES: list[tuple[str, dict[str, object]]] = [
    ("trial", {"status": "Done"}),
    ("trial", {"objective": "high"}),
    ("trial", {"curve": ["x"]}),
    ("trial", {"hyperparameters": []}),
    ("trial", {"tuned": None}),
    ("trial", {"colour": "red"}),
    ("job", {"direction": "Up"}),
    ("job", {"ranges": {"lr": []}}),
    ("job", {"static": []}),
    ("job", {"colour": "red"}),
    ("job", {"parents": None}),
]


@pytest.mark.parametrize("part, change", CHANGES)
def test_results_of_another_form_are_refused(tmp_path, part, change):
    path = tmp_path / "tuning.json"
    write_results(path, alone([trial("a", 0.5)]))
    document = json.loads(path.read_text())
    changed = document["tuning_jobs"][0]
    if part == "trial":
        changed = changed["trials"][0]
    changed |= change
    path.write_text(json.dumps(document))
    with pytest.raises(ResultsError, match="is not a file of tuning results"):
        read_results(path)


def test_results_come_back_as_they_were(tmp_path):
    job = TuningJob("j", "loss", "Minimize", "Random", "Stopped", {}, {}, (), ("p",), "x")
    bare = Trial("t", "InProgress", {}, ())
    jobs = (job, replace(job, trials=(bare, trial("u", 1, lr="0.1"))))
    write_results(tmp_path / "t.json", jobs)
    assert read_results(tmp_path / "t.json") == jobs
    assert json.loads((tmp_path / "t.json").read_text())["format_version"] == 1
    with pytest.raises(ResultsError, match=r"t.json' has format_version 2; this reader knows 1"):
        (tmp_path / "t.json").write_text('{"format_version": 2}')
        read_results(tmp_path / "t.json")


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_csv_without_jobs_has_its_heads(tmp_path):
    write_csv(tmp_path / "t.csv", ())
    assert table(tmp_path / "t.csv") == [[*FIRST, *LAST]]


def test_csv_word_by_word(tmp_path):
    path = tmp_path / "t.csv"
    running = replace(trial("b", None, "InProgress"), ended=None, started=None)
    write_csv(path, alone([trial("a", 0.1 + 0.2, h0="1e-3"), running], names=1))
    started = "2026-11-21T10:00:00+00:00"
    ended = "2026-11-21T10:02:30+00:00"
    value = "0.30000000000000004"
    assert table(path) == [
        [*FIRST, "h0", "model", *LAST],
        *[
            [
                "search",
                "a",
                "1",
                "Completed",
                "loss",
                value,
                "1e-3",
                "resnet50",
                "2",
                started,
                ended,
                "",
            ]
        ],
        ["search", "b", "", "InProgress", "loss", "", "", "resnet50", "0", "", "", "out of memory"],
    ]
    assert b"\r" not in path.read_bytes()


def test_the_best_as_hyperparameters_and_as_a_recipe(tmp_path):
    asked = replace(settings({}, model="resnet18"), out=tmp_path)
    texts = {"lr": "0.01", "compile": "true", "head": "", "model": "resnet18", "eps": "1e-08"}
    write_best(asked, asked.recipe(), replace(trial("a", 0.5), hyperparameters=texts))
    assert json.loads((tmp_path / "best.json").read_text()) == texts
    written = (tmp_path / "best.yaml").read_text()
    assert list(yaml.safe_load(written)) == ["name", "hyperparameters"]
    assert "lr: 0.01\n" in written
    assert "compile: true\n" in written
    assert "head: ''\n" in written
    assert "tuning" in asked.document


@pytest.mark.parametrize("absolute", [False, True])
def test_the_best_recipe_names_the_projects_photos(tmp_path, absolute):
    photos = tmp_path / "project" / "my photos"
    photos.mkdir(parents=True)
    project = tmp_path / "project" / "recipe.yaml"
    given = str(photos) if absolute else "my photos"
    asked = replace(settings({}), out=tmp_path / "project/out/tune/x", recipe_file=project)
    asked.document["prepare"] = {"photos": given, "seed": 7}
    asked.out.mkdir(parents=True)
    write_best(asked, asked.recipe(), replace(trial("a", 0.5), hyperparameters={"lr": "0.01"}))
    best = read_recipe(asked.out / "best.yaml")
    assert photos_of(best) == (asked.out / best.prepare.photos).absolute()
    assert photos_of(best).resolve() == photos
    assert best.prepare.seed == 7


def test_an_errors_sentence_names_the_file():
    assert sentence_of(OSError(2, "No such file", "a.json")) == "No such file: 'a.json'"
    assert sentence_of(OSError("broken")) == "broken"


@pytest.mark.parametrize("name, where", [(None, "out/x"), ("out/x/a.json", "out/x/a.json")])
def test_a_full_disk_is_named_with_what_to_do(name, where):
    error = OSError(28, "No space left on device", name)
    sentence = f"the disk of '{where}' is full; make room, and the same command goes on"
    assert sentence_of(error, Path("out/x")) == sentence
