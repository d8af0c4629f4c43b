import re
from pathlib import Path

import pytest
import yaml

from recipes.errors import RecipeError
from recipes.hyperparameters import Hyperparameters, parse
from train.job import Job, JobError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_dashes_underscores_quotes_and_types():
    hp = parse(
        {
            "batch-size": "16",
            # SageMaker's SDK quotes values as JSON.
            "lr": '"0.05"',
            "head": '"2048,516"',
            "early_stopping": "True",
            # A tuner that works with floats writes whole numbers so.
            "test_batch_size": "32.0",
            "split": "[0.8, 0.1, 0.1]",
            "model": '"vgg16"',
        }
    )
    assert (hp.batch_size, hp.lr, hp.head, hp.early_stopping, hp.test_batch_size) == (
        16,
        0.05,
        (2048, 516),
        True,
        32,
    )
    assert hp.split == (0.8, 0.1, 0.1) and hp.model == "vgg16"


def test_sagemakers_own_names_pass_by():
    # The platform adds them to the user's own.
    assert (
        parse(
            {
                "_tuning_objective_metric": "test loss",
                "sagemaker_program": "x.py",
                "sagemaker_job_name": '"a"',
            }
        )
        == Hyperparameters()
    )


def test_the_names_of_the_built_in_image_classification_are_taken():
    hp = parse(
        {
            "num_layers": "18",
            "use_pretrained_model": "0",
            "learning_rate": "0.1",
            "mini_batch_size": "32",
            "image_shape": "3,96,96",
            "augmentation_type": "crop_color",
            "optimizer": "nag",
            "lr_scheduler_step": "10,20",
            "lr_scheduler_factor": "0.5",
            "use_weighted_loss": "1",
            "precision_dtype": "float32",
            "beta_1": "0.8",
            "beta_2": "0.99",
            "eps": "1e-7",
            "gamma": "0.8",
            "momentum": "0.8",
            "weight_decay": "0.01",
            "early_stopping": "true",
            "early_stopping_min_epochs": "3",
            "early_stopping_patience": "2",
            "early_stopping_tolerance": "0.01",
            "epochs": "5",
            "checkpoint_frequency": "2",
            "num_classes": "5",
            "num_training_samples": "100",
            "resize": "128",
            "top_k": "3",
            "kv_store": "dist_sync",
            "multi_label": "0",
        }
    )
    assert (hp.model, hp.weights, hp.lr, hp.batch_size, hp.image_size) == (
        "resnet18",
        "none",
        0.1,
        32,
        96,
    )
    assert (hp.augmentation, hp.class_weights, hp.schedule, hp.lr_scheduler_step) == (
        "crop_color",
        "balanced",
        "step",
        (10, 20),
    )


@pytest.mark.parametrize(
    "texts, words",
    [
        (
            {"learning_rat": "0.1"},
            "'learning_rat' is unknown (did you mean 'learning_rate'?); known: preset, head_first",
        ),
        ({"lr": "abc"}, "lr must be a number; found 'abc'"),
        ({"lr": "nan"}, "lr must be a number"),
        ({"lr": "inf"}, "lr must be a number"),
        ({"lr": "-1"}, "lr must be at least 0"),
        ({"lr": ""}, "lr must be a number; found ''"),
        ({"epochs": "0"}, "epochs must be at least 1"),
        ({"epochs": "1.5"}, "epochs must be a whole number; found '1.5'"),
        # int() of it would raise OverflowError.
        ({"batch_size": "1e400"}, "batch_size must be a whole number"),
        ({"early_stopping": "maybe"}, "early_stopping must be true or false; found 'maybe'"),
        ({"optimizer": "lamb"}, "optimizer must be one of auto, lbfgs, sgd"),
        ({"head": "a,b"}, "head must be numbers with commas"),
        ({"head": "0"}, "head must be sizes of at least 1"),
        ({"split": "1,1"}, "split must be three shares"),
        ({"split": "0.5,0.6,-0.1"}, "split must be three shares"),
        ({"schedule": "step"}, "needs lr_scheduler_step"),
        (
            {"debug_collections": "weights, gradient"},
            "debug_collections must be of gradients, weights, biases, activations, samples; "
            "found 'gradient' (did you mean 'gradients'?)",
        ),
        *[
            (
                {"profile_steps": steps},
                f"profile_steps must be a first and a last step, such as 10,12; found '{steps}'",
            )
            for steps in ("1,2,3", "2", "3,2", "-1,0")
        ],
        ({"lr": "0.1", "learning_rate": "0.2"}, "sets lr, which another"),
        ({"image_shape": "1,224,224"}, "image_shape must be three channels"),
        ({"multi_label": "some"}, "multi_label must be true or false"),
        ({"kv_store": "dist_async"}, "kv_store can only be dist_sync"),
        ({"label_smoothing": "2"}, "label_smoothing must be between 0 and 1"),
    ],
)
def test_what_is_wrong_is_one_clear_sentence(texts, words):
    with pytest.raises(RecipeError, match=re.escape(words)) as caught:
        parse(texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text, words", [("{", "not readable JSON"), ("[]", "holds a list")])
def test_a_damaged_file_is_named(tmp_path, text, words):
    (tmp_path / "input/config").mkdir(parents=True)
    (tmp_path / "input/config/hyperparameters.json").write_text(text)
    with pytest.raises(JobError, match=words):
        Job(tmp_path).hyperparameters()


def test_no_file_means_defaults(tmp_path):
    assert Job(tmp_path).hyperparameters() == {}


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "recipes").glob("*.yaml")), ids=lambda path: path.name
)
def test_the_recipes_are_made_of_known_hyperparameters(path):
    recipe = yaml.safe_load(path.read_text())
    parse({name: str(value) for name, value in recipe["hyperparameters"].items()})
    assert set(recipe) == {"name", "prepare", "hyperparameters", "tuning", "sagemaker"}


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "dog_breeds",
            {
                "model": "resnet50",
                "head": (2048, 516),
                "lr": 0.00153,
                "batch_size": 64,
                "trainable": "head",
                "weights": "imagenet",
            },
        ),
        (
            "yoga_poses",
            {
                "model": "vgg16",
                "optimizer": "adadelta",
                "lr": 0.121,
                "batch_size": 30,
                "trainable": "head",
                "weights": "imagenet",
            },
        ),
    ],
)
def test_the_recipes_hold_the_settings_of_the_projects_they_come_from(name, expected):
    recipe = yaml.safe_load((REPOSITORY / "recipes" / f"{name}.yaml").read_text())
    hp = parse({name: str(value) for name, value in recipe["hyperparameters"].items()})
    assert {name: getattr(hp, name) for name in expected} == expected
