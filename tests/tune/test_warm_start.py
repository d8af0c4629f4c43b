"""What a warm start may take from its parents."""

import dataclasses

import pytest

from recipes.errors import RecipeError
from recipes.warm_start import changes_of
from tests.support.chains import CHILD, LR, recipe, settings, tried
from tests.support.jobs import COLOURS, draw_photo
from tune.checks import check_chain, check_photos
from tune.results import job_of, write_results
from tune.search_settings import find_channels
from tune.warm_start import legal, overall_best, parents_of


def test_a_warm_start_takes_what_is_still_legal():
    first, second = recipe(
        {"ranges": {"lr": LR, "batch_size": [4, 8]}},
        CHILD | {"ranges": {"lr": LR | {"min": 0.01, "max": 0.05}, "batch_size": [8]}},
    ).tuning
    trials = (
        tried("in", 0.5, lr="0.02", batch_size="8"),
        tried("edge", 0.4, "Stopped", lr="0.05", batch_size="8"),
        tried("below", 0.9, lr="0.009", batch_size="8"),
        tried("category", 0.8, lr="0.02", batch_size="4"),
        tried("failed", None, "Failed", lr="0.02", batch_size="8"),
        tried("running", 0.7, "InProgress", lr="0.02", batch_size="8"),
    )
    done = job_of(first, "Completed", trials)
    assert [trial.name for trial in legal(second, done)] == ["in", "edge"]
    assert parents_of(second, {"job-0": done}) == [done]
    with pytest.raises(
        RecipeError, match="its parent 'job-0' is InProgress; a parent must have ended"
    ):
        parents_of(second, {"job-0": job_of(first, "InProgress", trials)})


def test_parents_of_other_searches_come_from_their_results(tmp_path):
    done = recipe({"name": "before", "ranges": {"lr": LR}}).tuning[0]
    child = CHILD | {"parents": ["before"], "hyperparameters": {"batch_size": 8}}
    for status, sentence in (
        ("Completed", ""),
        ("InProgress", "its parent 'before' is InProgress; a parent must have ended"),
    ):
        write_results(
            tmp_path / "tuning.json", (job_of(done, status, (tried("a", 0.5, lr="0.01"),)),)
        )
        asked = dataclasses.replace(settings(child), parents=(tmp_path / "tuning.json",))
        if sentence:
            with pytest.raises(RecipeError, match=sentence):
                check_chain(asked)
        else:
            tuning = check_chain(asked).tuning[0]
            assert [
                trial.name for trial in legal(tuning, parents_of(tuning, asked.known_parents())[0])
            ] == ["a"]


@pytest.mark.parametrize("warm_start", ["IdenticalDataAndAlgorithm", "TransferLearning"])
def test_a_parent_on_other_photos_is_for_transfer_learning_alone(tmp_path, warm_start):
    for folder, colour in (("here", "red"), ("there", "blue"), ("copy", "red")):
        draw_photo(tmp_path / folder / "train" / "a" / "1.jpg", COLOURS[colour], 0)
    for folder in ("there", "copy"):
        dataclasses.replace(
            settings({"name": "before"}),
            out=tmp_path / folder,
            channels=find_channels(tmp_path / folder),
        ).write()
        write_results(
            tmp_path / folder / "tuning.json",
            (job_of(recipe({"name": "before"}).tuning[0], "Completed"),),
        )
    asked = dataclasses.replace(
        settings({"parents": ["before"], "warm_start": warm_start}),
        channels=find_channels(tmp_path / "here"),
    )
    check_photos(dataclasses.replace(asked, parents=(tmp_path / "copy" / "tuning.json",)))
    asked = dataclasses.replace(asked, parents=(tmp_path / "there" / "tuning.json",))
    if warm_start == "TransferLearning":
        check_photos(asked)
    else:
        with pytest.raises(
            RecipeError,
            match="job-0: its parent 'before' was a search on other photos, but its warm start "
            "is Identical",
        ):
            check_photos(asked)


@pytest.mark.parametrize(
    "warm_start, best", [("IdenticalDataAndAlgorithm", "old"), ("TransferLearning", "new")]
)
def test_the_overall_best_looks_at_parents_where_data_are_the_same(warm_start, best):
    first, second = recipe({}, CHILD | {"warm_start": warm_start}).tuning
    parent = job_of(first, "Completed", (tried("old", 0.9),))
    job = job_of(second, "Completed", (tried("new", 0.6), tried("bad", None, "Failed")))
    found = overall_best(job, [parent])
    assert found is not None
    assert found[1].name == best


def test_changes_count_as_the_service_counts_them():
    first, second = recipe(
        {"ranges": {"lr": LR, "optimizer": ["sgd", "adam", "nag"], "momentum": LR}},
        CHILD | {"hyperparameters": {"optimizer": "sgd", "momentum": 0.9, "epochs": 3}},
    ).tuning
    assert changes_of(second, job_of(first)) == {"optimizer": 3, "momentum": 1, "epochs": 2}


def test_the_overall_best_of_a_search_that_minimizes_is_the_lowest():
    objective = {"metric": "loss", "direction": "Minimize"}
    first, second = recipe({"objective": objective}, CHILD | {"objective": objective}).tuning
    parent = job_of(first, "Completed", (tried("old", 0.4),))
    for value, best in ((0.3, "new"), (0.5, "old"), (0.4, "new")):  # of equals, this job's own
        job = job_of(second, "Completed", (tried("new", value),))
        found = overall_best(job, [parent])
        assert found is not None
        assert found[1].name == best
    unfinished = job_of(second, "InProgress", (tried("new", None, "Failed"),))
    found = overall_best(unfinished, [parent])
    assert found is not None
    assert found[0] == "job-0"
    assert overall_best(unfinished, []) is None
