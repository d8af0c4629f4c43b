"""slipway init: a folder that is complete, that an editor can check, and that harms nothing."""

import json
import shlex

import jsonschema_rs
import pytest
import yaml

from recipes.own_training import check_hyperparameters, check_tuning
from recipes.recipe import read_recipe
from slipway.init import InitError, create, main
from tests.support.jobs import REPOSITORY


def test_the_recipe_is_whole_and_its_first_line_names_its_schema(tmp_path):
    folder = create(tmp_path / "mine", None)
    text = (folder / "recipe.yaml").read_text()
    recipe = read_recipe(folder / "recipe.yaml")
    check_hyperparameters(recipe)
    check_tuning(recipe)
    assert recipe.name == "mine"
    assert recipe.photos_folder() == folder / "photos"
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=recipe.schema.json"
    schema = json.loads((folder / "recipe.schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(yaml.safe_load(text))


def test_the_other_files(tmp_path):
    folder = create(tmp_path / "mine", None)
    assert {path.name for path in folder.iterdir()} == {
        "recipe.yaml",
        "recipe.schema.json",
        "README.md",
        ".gitignore",
        "code",
        "photos",
    }
    assert "/out/" in (folder / ".gitignore").read_text().splitlines()
    readme = (folder / "README.md").read_text()
    assert readme.startswith("# mine\n")
    assert "{{" not in readme
    assert len(readme.splitlines()) == 10
    assert max(map(len, (folder / "recipe.yaml").read_text().splitlines())) <= 100


@pytest.mark.parametrize("name", ["on", "123", "null", "a: b", "-", "#1", "für dich", "'", '"{x}"'])
def test_any_name_of_a_folder_is_the_recipe_s_name(name, tmp_path):
    folder = create(tmp_path / name, None)
    assert read_recipe(folder / "recipe.yaml").name == name
    assert (folder / "README.md").read_text().startswith(f"# {name}\n")


def test_the_next_command_can_be_typed(tmp_path, capsys):
    (tmp_path / "photos.zip").write_bytes(b"")  # an archive or a list, as prepare takes them
    folder = tmp_path / "it's $mine"
    assert main([str(folder), "--photos", str(tmp_path / "photos.zip")]) == 0
    line = capsys.readouterr().out.splitlines()[-1].removeprefix("init: next: ")
    assert shlex.split(line.partition(";")[0]) == ["cd", str(folder)]


def test_a_name_of_several_lines_is_refused(tmp_path):
    with pytest.raises(InitError, match=r"the name 'a\\nb' has a line end"):
        create(tmp_path / "a\nb", None)


def test_photos_elsewhere_stay_there(tmp_path, monkeypatch, capsys):
    (tmp_path / "my photos: all").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["mine", "--photos", "my photos: all"]) == 0
    recipe = read_recipe(tmp_path / "mine/recipe.yaml")
    assert recipe.photos_folder() == tmp_path / "my photos: all"
    assert not (tmp_path / "mine/photos").exists()
    assert "init: next: cd " in capsys.readouterr().out


def test_what_is_there_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("all of it")
    assert main([str(tmp_path / "mine")]) == 1
    assert "is not empty; give another name" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InitError, match="is a file"):
        create(tmp_path / "file", None)


def test_a_name_that_no_text_can_hold_is_refused(tmp_path):
    with pytest.raises(InitError, match=r"the name '.*\\udcff' is not UTF-8"):
        create(tmp_path / "mine\udcff", None)


def test_no_project_lies_in_the_checkout():
    with pytest.raises(InitError, match="lies in Slipway's checkout"):
        create(REPOSITORY / "recipes" / "mine", None)
    assert not (REPOSITORY / "recipes" / "mine").exists()


def test_photos_that_are_not_there_are_told_before_anything_is_written(tmp_path):
    with pytest.raises(InitError, match="there is no folder"):
        create(tmp_path / "mine", tmp_path / "nowhere")
    assert not (tmp_path / "mine").exists()


def test_a_file_where_a_folder_is_meant_is_told_without_a_number(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "mine")]) == 1
    assert capsys.readouterr().err == f"init: failed: Not a directory: '{tmp_path}/file/mine'\n"
