"""slipway compare: trainings on the same photos, their difference and its page."""

import json
from pathlib import Path

import pytest

from slipway.compare import main, short_names
from slipway.trainings import changed, mcnemar, paired, read_training
from tests.support.photo_folders import picture


def training(folder: Path, right: str, **hyperparameters: object) -> Path:
    """A training that answered ten photos; right: a 1 or 0 for each."""
    output = folder / "output/data"
    output.mkdir(parents=True)
    (folder / "model").mkdir()
    rows = ["photo,label,predicted,probability"]
    for number, one in enumerate(right):
        predicted = "a" if one == "1" else "b"
        rows.append(f"{folder.parent}/photos/test/a/{number}.jpg,a,{predicted},0.9")
    (output / "predictions.csv").write_text("\n".join(rows))
    history = "epoch,validation_loss,validation_accuracy\n1,0.9,0.5\n2,0.7,\n"
    (output / "history.csv").write_text(history)
    (output / "metrics.json").write_text(json.dumps({"test_accuracy": right.count("1") / 10}))
    described = {"provenance": {"hyperparameters": hyperparameters}}
    (folder / "model/model.json").write_text(json.dumps(described))
    return folder


def test_a_difference_is_that_on_the_same_photos(tmp_path):
    first = read_training(training(tmp_path / "a", "1110000000"), "a")
    second = read_training(training(tmp_path / "b", "1101111111"), "b")
    pair = paired(first, second)
    assert pair is not None
    assert pair.photos == 10
    assert pair.won == [f"a/{number}.jpg" for number in range(3, 10)]
    assert pair.lost == ["a/2.jpg"]
    assert pair.difference == pytest.approx(0.6)
    # By hand: (7.5 - 1.5) / 12, and 1.96 * sqrt(9 - 36 / 12) / 12.
    assert (pair.low, pair.high) == pytest.approx((0.5 - 0.4001, 0.5 + 0.4001), abs=1e-3)
    assert pair.p == pytest.approx(2 * (1 + 8) / 2**8)


@pytest.mark.parametrize("won, lost, p", [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 0.03125), (1, 0, 1.0)])
def test_the_exact_test(won, lost, p):
    assert mcnemar(won, lost) == pytest.approx(p)


def test_what_is_not_the_same_is_told(tmp_path):
    first = read_training(training(tmp_path / "a", "1", lr=0.1, model="x"), "a")
    second = read_training(training(tmp_path / "b", "1", lr=0.2, model="x", seed=1), "b")
    assert changed([first, second]) == {"lr": [0.1, 0.2], "seed": ["", 1]}


def test_the_page(tmp_path, capsys):
    first = training(tmp_path / "a", "1110000000", lr=0.1)
    second = training(tmp_path / "b", "1101111111", lr=0.2)
    photos = tmp_path / "photos/test/a"
    photos.mkdir(parents=True)
    picture(1).save(photos / "3.jpg")
    page = tmp_path / "out/compare.html"
    assert main([str(first), str(second), "--page", str(page)]) == 0
    said = capsys.readouterr().out
    assert "a and b: the second alone is right on 7 photos, the first alone on 1, of 10;" in said
    assert "difference +60.0 points" in said
    text = page.read_text(encoding="utf-8")
    assert "7 photos that b has right and a wrong" in text
    assert text.count("data:image/jpeg") == 1
    assert "not here any more" in text
    assert "<td>0.1</td><td>0.2</td>" in text


def test_photos_of_a_tree_that_was_moved_are_found(tmp_path):
    folder = training(tmp_path / "ml", "1")
    table = folder / "output/data/predictions.csv"
    table.write_text("photo,label,predicted,probability\n/opt/ml/input/data/test/a/0.jpg,a,b,0.9\n")
    [answered] = read_training(folder, "a").answers.values()
    assert answered.photo == tmp_path / "ml/input/data/test/a/0.jpg"


def test_two_that_answer_alike_are_no_matter_of_luck(tmp_path, capsys):
    first = training(tmp_path / "a", "1100", lr=0.1)
    second = training(tmp_path / "b", "1100", lr=0.2)
    page = tmp_path / "compare.html"
    assert main([str(first), str(second), "--page", str(page)]) == 0
    assert "a and b: both are right on the same of 4 photos" in capsys.readouterr().out
    assert "luck" not in page.read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_said(tmp_path, capsys):
    first = training(tmp_path / "a", "1")
    (tmp_path / "empty").mkdir()
    assert main([str(first), str(tmp_path / "empty")]) == 1
    assert "holds no finished training: no output/data/metrics.json" in capsys.readouterr().err
    assert main([str(first), str(tmp_path / "gone")]) == 1
    assert f"there is no folder '{tmp_path / 'gone'}'" in capsys.readouterr().err
    assert main([str(first), str(first)]) == 1
    assert "the same training is given twice" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(first)])


def test_names_are_short():
    assert short_names([Path("/x/one/ml"), Path("/x/two/ml")]) == ["one/ml", "two/ml"]
