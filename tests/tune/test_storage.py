"""Where a search is kept: damaged, foreign and shared storages, and wrong options."""

import pytest

from tests.support.jobs import REPOSITORY
from tests.support.tuning import document, run, settings
from tune.errors import SearchError
from tune.storage import STUDY_FILE, open_storage, repair
from tune.study import make_study


def test_a_torn_last_line_is_cut(tmp_path, data):
    tuning = settings(tmp_path, data, {}).recipe().tuning[0]
    make_study(open_storage(tmp_path), tuning, ()).ask()
    # The file grows line by line: a kill can cut off the last.
    whole = (tmp_path / STUDY_FILE).read_bytes()
    (tmp_path / STUDY_FILE).write_bytes(whole + whole.splitlines(keepends=True)[-1][:-9])
    repair(tmp_path)
    assert (tmp_path / STUDY_FILE).read_bytes() == whole
    assert len(make_study(open_storage(tmp_path), tuning, ()).trials) == 1


@pytest.mark.slow
def test_a_storage_of_another_version_is_told(tmp_path, data):
    tuning = settings(tmp_path, data, {}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    study.set_user_attr("slipway_ready", 99)
    with pytest.raises(
        SearchError,
        match="the storage's tuning job job-0 is of version 99, this is 1; name another --out "
        "or --storage",
    ):
        make_study(open_storage(tmp_path), tuning, ())
    (tmp_path / STUDY_FILE).write_text("something else\n")
    with pytest.raises(SearchError, match="is not a file of this version's searches"):
        repair(tmp_path)
    (tmp_path / STUDY_FILE).write_text('{"op_code": 77, "worker_id": "other"}\n')
    with pytest.raises(SearchError, match="is not a file of this version's searches"):
        open_storage(tmp_path)
    with pytest.raises(SearchError, match="the storage '.*' cannot be used"):
        open_storage(tmp_path, f"sqlite:///{tmp_path}/no/such/folder/study.db")


@pytest.mark.training
@pytest.mark.parametrize(
    "case, sentence",
    [
        (
            "never printed",
            "tuning job job-0: none of its 1 trials has an objective; the first: the objective "
            "nothing was never printed: no line of the output ",
        ),
        (
            "another version",
            "the storage's tuning job job-0 is of version 99, this is 1; name another --out or "
            "--storage",
        ),
        ("another library", "'{}' is not a file of this version's searches (KeyError"),
    ],
)
def test_the_command_ends_with_one_sentence(tmp_path, data, case, sentence):
    recipe = document({"budgets": {"jobs": 1}, "objective": {"metric": "nothing"}}, epochs=1)
    if case != "never printed":
        (tmp_path / "out").mkdir()
        make_study(
            open_storage(tmp_path / "out"),
            settings(tmp_path, data, recipe["tuning"][0]).recipe().tuning[0],
            (),
        ).set_user_attr("slipway_ready", 99)
    if case == "another library":
        (tmp_path / "out" / STUDY_FILE).write_text('{"operation": 1}\n')
    ended = run(tmp_path, data, recipe)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith(
        "tune: failed: " + sentence.format(tmp_path / "out" / STUDY_FILE)
    )


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["missing.yaml"], "the recipe 'missing.yaml' cannot be read: No such file or directory"),
        (
            [str(REPOSITORY / "recipes" / "demo.yaml"), "--data", "nowhere"],
            "the folder 'nowhere' does not exist; name the photos with --data",
        ),
        (
            [str(REPOSITORY / "recipes" / "demo.yaml"), "--workers", "0"],
            "--workers must be at least 1; found 0",
        ),
        (
            [str(REPOSITORY / "recipes" / "demo.yaml"), "--set", "epoch=3"],
            "hyperparameter 'epoch' is unknown",
        ),
        ([str(REPOSITORY / "recipes" / "demo.yaml"), "--parents", "no.json"], "no.json'"),
    ],
)
def test_wrong_options_get_one_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    from tune.__main__ import main

    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1
