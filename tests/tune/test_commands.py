"""The options and exit codes of `python -m tune` and `python -m tune.show`."""

import argparse

import pytest

from recipes.command_line import setting
from tests.support.searches import alone, chain, trial
from tune import __main__ as tune_main
from tune import show
from tune.errors import SearchError
from tune.results import write_results


@pytest.mark.parametrize(
    "text, pair",
    # Only the first = divides.
    [("lr=0.1", ("lr", "0.1")), ("batch-size=1=2", ("batch_size", "1=2")), (" lr =", ("lr", ""))],
)
def test_a_setting_is_a_name_and_a_value(text, pair):
    assert setting(text) == pair


@pytest.mark.parametrize("text", ["lr", "=0.1", ""])
def test_a_setting_without_name_or_value_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected NAME=VALUE, found '{text}'"):
        setting(text)


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on where this one stopped"),
        (SearchError("no photos"), 1, "no photos"),
        (OSError(28, "No space left on device", "a"), 1, "No space left on device: 'a'"),
    ],
)
def test_each_end_of_a_search_has_its_code(monkeypatch, capsys, error, code, sentence):
    def fail(options: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(tune_main, "search", fail)
    # The handlers would stay in the tests' process.
    monkeypatch.setattr("tune.__main__.signal.signal", lambda *_: None)
    assert tune_main.main(["recipe.yaml"]) == code
    assert capsys.readouterr().err == f"tune: failed: {sentence}\n"


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (KeyboardInterrupt(), 130, "tune.show: interrupted\n"),
        (OSError(13, "Permission denied", "a"), 1, "tune.show: failed: Permission denied: 'a'\n"),
    ],
)
def test_each_end_of_show_has_its_code(monkeypatch, capsys, error, code, sentence):
    def fail(options: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(show, "read", fail)
    assert show.main(["tuning.json"]) == code
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("most", ["0", "-1", "x", "1.5"])
def test_show_needs_a_row_or_more(most, capsys):
    with pytest.raises(SystemExit) as caught:
        show.main(["tuning.json", "--most", most])
    assert caught.value.code == 2
    assert f"expected a whole number from 1 on, found '{most}'" in capsys.readouterr().err


def test_show_takes_one_row(tmp_path, capsys):
    write_results(tmp_path / "t.json", chain())
    best = tmp_path / "new" / "best.json"
    assert show.main([str(tmp_path / "t.json"), "--most", "1", "--best", str(best)]) == 0
    printed = capsys.readouterr().out
    assert "and 26 more" in printed
    assert printed.endswith(f"written: {best}\n")
    # Sorted, so that two files can be compared.
    assert best.read_text().startswith('{\n  "batch_size": "30",\n')
    assert best.read_text().endswith("}\n")


def test_show_has_no_best_of_failed_trials(tmp_path, capsys):
    write_results(tmp_path / "t.json", alone([trial("a", None, "Failed")]))
    assert show.main([str(tmp_path / "t.json"), "--best", str(tmp_path / "best.json")]) == 1
    sentence = "no trial ended with a value, so there are no best hyperparameters to write"
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "best.json").exists()


@pytest.mark.parametrize(
    "options, with_parents, with_logs",
    [
        ([], True, False),
        (["--alone"], False, False),
        (["--page", "t.html"], True, True),
        (["--csv", "t.csv"], True, True),
    ],
)
# Reading logs takes many requests.
def test_show_reads_logs_for_curves_only(monkeypatch, options, with_parents, with_logs):
    asked: list[object] = []

    def read(*given: object) -> tuple[()]:
        asked.extend(given)
        return ()

    monkeypatch.setattr(show, "open_clients", lambda region: (f"sagemaker {region}", "logs"))
    monkeypatch.setattr(show, "read_managed", read)
    show.read(show._parse(["--managed", "yoga", "--region", "eu-west-1", *options]))
    logs = None
    if with_logs:
        logs = "logs"
    assert asked == ["yoga", "sagemaker eu-west-1", with_parents, logs]
