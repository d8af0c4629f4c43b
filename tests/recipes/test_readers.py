"""Every command that takes a recipe refuses a wrong one alike, before it does anything."""

import json
import sys
from pathlib import Path

import pytest

from launch.__main__ import main as launch
from local_test.demo import main as demo
from tune.__main__ import main as tune

TUNING = "tuning: [{name: a, budgets: {jobs: 1}, ranges: {lr: [0.1, 0.2]}}]\n"
REGION = "sagemaker: {region: eu-west-1, role: 'arn:aws:iam::123456789012:role/r'}\n"
WRONG = {
    "no colon": ("hyperparameters: resnet", "hyperparameters must be names with values"),
    "a section": ("sagemeker: {}", "did you mean 'sagemaker'?"),
    "another section": ("hyprparameters: {}", "did you mean 'hyperparameters'?"),
    "a key twice": ("hyperparameters:\n  epochs: 3\n  epochs: 30", "'epochs' stands twice"),
    "a name": ("hyperparameters: {modle: resnet18}", "did you mean 'model'?"),
    "a type": ("hyperparameters: {epochs: many}", "epochs must be a whole number; found 'many'"),
}
READERS = ["check", "train", "tune", "debug", "search", "demo"]


def run(reader: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    if reader == "demo":
        monkeypatch.setattr(sys, "argv", ["demo", "--recipe", str(path), "--out", "out"])
        return demo()
    if reader == "search":
        return tune([str(path), "--data", "none", "--out", "out"])
    return launch([reader, str(path), "--out", "out"])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text, words", WRONG.values(), ids=WRONG)
def test_a_wrong_recipe_ends_each_command_with_one_sentence(
    tmp_path, monkeypatch, capsys, reader, text, words
):
    monkeypatch.chdir(tmp_path)
    path = Path("recipe.yaml")
    path.write_text(f"name: typo\n{TUNING}{text}\n")
    assert run(reader, path, monkeypatch) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"the recipe '{path}': " in printed.err
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("out").exists()


def dry_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, *options: str
) -> tuple[int, Path]:
    monkeypatch.chdir(folder)
    path = folder / "recipe.yaml"
    path.write_text(text)
    words = ["--dry-run", "--out", str(folder / "out"), *options]
    return launch(["train", str(path), *words]), path


@pytest.mark.parametrize("image", ["mine", "train"])
def test_a_training_image_of_the_user_may_have_other_hyperparameters(
    tmp_path, monkeypatch, capsys, image
):
    """An image of another name, and `train` with a URI of the user's own."""
    settings = (
        "sagemaker:\n  region: eu-west-1\n  role: 'arn:aws:iam::123456789012:role/r'\n"
        f"  image_uris: {{{image}: 'there/mine:1'}}\n  training: {{image: {image}}}\n"
    )
    text = f"name: own\nhyperparameters: {{trees: 100}}\n{settings}"
    code, _ = dry_run(tmp_path, monkeypatch, text)
    assert code == 0
    [call] = json.loads(capsys.readouterr().out)
    assert call["request"]["HyperParameters"]["trees"] == "100"


def test_hyperparameters_of_a_file_are_checked_in_place_of_the_recipes(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "best.json").write_text('{"lr": 0.1}')
    (tmp_path / "typo.json").write_text('{"lrr": 0.1}')
    text = f"name: given\nhyperparameters: {{modle: vgg16}}\n{REGION}"
    code, _ = dry_run(tmp_path, monkeypatch, text, "--hyperparameters", "best.json")
    assert code == 0
    capsys.readouterr()
    code, _ = dry_run(tmp_path, monkeypatch, text, "--hyperparameters", "typo.json")
    assert code == 1
    sentence = "the hyperparameters 'typo.json': hyperparameter 'lrr' is unknown"
    assert sentence in capsys.readouterr().err
