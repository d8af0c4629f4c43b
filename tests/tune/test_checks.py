"""The checks before the first trial: the chain, its parents, its photos."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.chains import CHILD, settings
from tests.support.searches import alone
from tune.checks import check_chain, check_photos, prepared_channels
from tune.errors import SearchError
from tune.results import write_results


def test_a_chain_is_checked_in_its_order(tmp_path):
    with pytest.raises(SearchError, match="has no tuning jobs; give it a section `tuning`"):
        check_chain(settings())
    assert check_chain(settings({}, CHILD)).name == "small"
    (job,) = alone([])
    write_results(tmp_path / "p.json", (replace(job, name="job-0"),))
    # Two jobs of one name cannot be told apart.
    twice = replace(settings({}), parents=(tmp_path / "p.json",))
    with pytest.raises(SearchError, match="job job-0: a file of --parents holds one of this name"):
        check_chain(twice)


@pytest.mark.parametrize(
    "warm_start, theirs, refused",
    [
        ("IdenticalDataAndAlgorithm", "other", True),
        ("IdenticalDataAndAlgorithm", "", False),
        ("TransferLearning", "other", False),
    ],
)
def test_identical_data_are_identical_photos(tmp_path, warm_start, theirs, refused):
    (job,) = alone([])
    write_results(tmp_path / "p.json", (replace(job, name="early"),))
    if theirs:
        # Beside the results lies what the search was on.
        (tmp_path / "search.json").write_text(json.dumps({"format_version": 1, "photos": theirs}))
    asked = settings({"parents": ["early"], "warm_start": warm_start})
    asked = replace(asked, parents=(tmp_path / "p.json",))
    if not refused:
        check_photos(asked)
        return
    with pytest.raises(SearchError, match="its parent 'early' was a search on other photos"):
        check_photos(asked)


def test_photos_are_prepared_with_the_recipes_options(tmp_path, monkeypatch, capsys):
    commands: list[list[str]] = []

    class Done:
        returncode = 0

    def run(command: list[str], **_: object) -> Done:
        commands.append(command)
        (tmp_path / "out" / "prepared" / "train" / "a").mkdir(parents=True)
        return Done()

    monkeypatch.setattr("tune.checks.subprocess.run", run)
    data = tmp_path / "photos"
    data.mkdir()
    asked = settings({})
    asked.document["prepare"] = {"seed": 3}
    channels = prepared_channels(data, tmp_path / "out", asked.recipe())
    assert channels == {"train": tmp_path / "out" / "prepared" / "train"}
    (words,) = commands
    assert words[1:] == ["-m", "prepare", str(data), str(tmp_path / "out/prepared"), "--seed=3"]
    assert capsys.readouterr().out == f"tune: preparing the photos of '{data}'\n"
    # It is prepared already: nothing is run.
    assert prepared_channels(tmp_path / "out/prepared", Path("x"), asked.recipe()) == channels
    Done.returncode = 1
    (tmp_path / "out" / "prepared" / "train" / "a").rmdir()
    (tmp_path / "out" / "prepared" / "train").rmdir()
    with pytest.raises(SearchError, match="could not be prepared; the reason stands above"):
        prepared_channels(data, tmp_path / "out", asked.recipe())
    with pytest.raises(SearchError, match="the folder .* does not exist"):
        prepared_channels(tmp_path / "none", tmp_path / "out", asked.recipe())
