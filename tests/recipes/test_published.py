"""Names of models and weights that are not published are refused before anything is prepared."""

import pytest

from local_test.demo import main as demo
from recipes.errors import RecipeError
from recipes.own_training import check_hyperparameters, check_tuning
from recipes.recipe import parse_recipe
from slipway.training import main as train

Wrong = dict[str, tuple[dict[str, object], str]]

WRONG: Wrong = {
    "model": ({"model": "resnet5O"}, "model 'resnet5O' is not .*did you mean resnet50 or "),
    "timm's": ({"model": "timm/resnt18"}, "not one of timm's .*did you mean timm/resnet18"),
    "tag": ({"model": "timm/resnet18.a9_in1k"}, "weights 'a9_in1k' are not published for timm/re"),
    "weights": ({"weights": "IMAGENET1K_V3"}, "not published for resnet50 .did you mean 'IMAGENET"),
    "word": ({"weights": "imagenett"}, "weights 'imagenett' .*did you mean 'imagenet'.*a channel"),
    "of another": ({"model": "vgg16", "weights": "a1_in1k"}, "not published for vgg16"),
}
WRONG_TOGETHER: Wrong = {
    "module": (
        {"model": "resnet18", "trainable": "layer5"},
        "trainable 'layer5' is neither .*did you mean 'layer[1-4]'.*; its modules: conv1, bn1",
    ),
    "word": ({"preset": "best", "trainable": "haed"}, "did you mean 'head'.*; its modules: conv_s"),
    "number": (
        {"model": "vgg16", "trainable": "features.31"},
        "'features.31' is no module of vgg16; those of features are features.0 to features.30",
    ),
    "timm's number": ({"preset": "quick", "trainable": "backbone.blocks.7"}, "to blocks.6"),
    "solved whole": (
        {"preset": "best", "optimizer": "lbfgs"},
        "optimizer=lbfgs needs a frozen backbone; set trainable=head",
    ),
    "solved module": (
        {"model": "vgg16", "optimizer": "lbfgs", "trainable": "classifier.3"},
        "needs a frozen backbone",
    ),
    "solved layers": ({"optimizer": "lbfgs", "head": "64"}, "leave the hyperparameter head empty"),
    "solved smoothly": (
        {"optimizer": "lbfgs", "label_smoothing": 0.1},
        "leave label_smoothing out",
    ),
    "solved watched": ({"optimizer": "lbfgs", "debug": True}, "takes no steps to observe"),
    "solved profiled": ({"optimizer": "lbfgs", "profile_steps": "1,2"}, "leave debug and profile"),
}
RIGHT_TOGETHER: tuple[dict[str, object], ...] = (
    {"model": "vgg16", "optimizer": "lbfgs", "trainable": "classifier.6"},
    {"model": "vgg16", "trainable": "features.30"},
    {"model": "vit_b_16", "trainable": "encoder.layers.encoder_layer_11"},
    {"preset": "quick", "trainable": "backbone"},
    {"preset": "quick", "trainable": "backbone.blocks.6"},
    {"preset": "quick", "trainable": "blocks.5"},
    {"trainable": "all", "debug": True, "label_smoothing": 0.1},
)
RIGHT: tuple[dict[str, object], ...] = (
    {"weights": "none"},
    {"model": "timm/resnet18.a1_in1k", "weights": "tv_in1k"},
    {"weights": "IMAGENET1K_V2"},
    {"weights": "first.pth"},
    {"weights": "weights/"},
    {"num_layers": 18},
)


@pytest.mark.parametrize(
    "values, words", (WRONG | WRONG_TOGETHER).values(), ids=WRONG | WRONG_TOGETHER
)
def test_a_name_that_is_none_is_refused_without_torch(values, words):
    with pytest.raises(RecipeError, match=words):
        check_hyperparameters(parse_recipe({"hyperparameters": values}))
    job = {"name": "a", "budgets": {"jobs": 1}, "ranges": {"lr": [0.1, 0.2]}}
    with pytest.raises(RecipeError, match=f"tuning job a: .*{words}"):
        check_tuning(parse_recipe({"tuning": [job | {"hyperparameters": values}]}))


def test_names_that_are_published_and_channels_pass():
    for values in RIGHT + RIGHT_TOGETHER:
        check_hyperparameters(parse_recipe({"hyperparameters": values}))
    recipe = parse_recipe({"hyperparameters": {"weights": "first"}})
    check_hyperparameters(recipe, ("train", "first"))
    with pytest.raises(RecipeError, match="'first'"):
        check_hyperparameters(recipe)


def test_the_models_and_weights_of_a_search_are_checked_together():
    ranges = {"model": ["vgg16", "timm/resnet18"], "weights": ["IMAGENET1K_V1", "a1_in1k"]}
    job = {"name": "a", "budgets": {"jobs": 1}, "ranges": ranges}
    check_tuning(parse_recipe({"tuning": [job]}))
    ranges["model"][0] = "vgg61"
    with pytest.raises(RecipeError, match="model 'vgg61' .*did you mean vgg19"):
        check_tuning(parse_recipe({"tuning": [job]}))


def test_an_earlier_artifact_may_be_of_any_network():
    values = {"trainable": "blocks.5"}  # resnet50, the default, has none
    recipe = parse_recipe({"hyperparameters": values})
    check_hyperparameters(recipe, ("train", "model"))
    with pytest.raises(RecipeError, match="its modules: conv1"):
        check_hyperparameters(recipe)
    named = parse_recipe({"hyperparameters": values | {"model": "resnet50"}})
    with pytest.raises(RecipeError, match="its modules: conv1"):
        check_hyperparameters(named, ("train", "model"))


def test_training_here_refuses_them_before_its_photos_are_prepared(tmp_path, monkeypatch, capsys):
    (tmp_path / "photos").mkdir()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: a\nprepare: {photos: photos}\nhyperparameters: {model: resnet5O}\n")
    monkeypatch.chdir(tmp_path)
    assert train(["--engine", "process"]) == 1
    assert "did you mean resnet50" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["demo", "--recipe", str(recipe), "--out", "out"])
    assert demo() == 1
    assert "did you mean resnet50" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
