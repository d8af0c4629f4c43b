"""The settings of the server: from the environment, and refused where they make no sense."""

import re

import pytest

from serve.settings import ServingSettings, SettingsError
from tests.support.jobs import REPOSITORY


@pytest.mark.parametrize(
    "environment, expected",
    [
        (
            {},
            {
                "port": 8080,
                "max_payload_mb": 6.0,
                "precision": "auto",
                "workers": 1,
                "multi_model": False,
                "batch_transform": False,
                "timeout_s": 60.0,
            },
        ),
        (
            {
                "SAGEMAKER_BIND_TO_PORT": "9000",
                "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
                "SLIPWAY_PRECISION": "bf16",
            },
            {"port": 9000, "max_payload_mb": 20.0, "precision": "bf16"},
        ),
        (
            {
                "SAGEMAKER_BATCH": "True",
                "SAGEMAKER_MULTI_MODEL": "true",
                "SAGEMAKER_MODEL_SERVER_TIMEOUT": "90",
                "SLIPWAY_MAX_REQUESTS": "7",
                "SLIPWAY_THREADS": "3",
            },
            {
                "batch_transform": True,
                "multi_model": True,
                "timeout_s": 90.0,
                "max_requests": 7,
                "threads": 3,
            },
        ),
        # 0: SageMaker sets no limit.
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, {"max_payload_mb": 100.0}),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "64"}, {"workers": 64, "threads": 1}),
    ],
)
def test_settings_come_from_the_environment(environment, expected):
    settings = ServingSettings.read(environment)
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    "name, value",
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "0"),
        ("SAGEMAKER_BIND_TO_PORT", "8080.5"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
        ("SLIPWAY_PRECISION", "f8"),
        ("SLIPWAY_DEVICE", "tpu"),
        ("SAGEMAKER_BATCH", "maybe"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "nan"),
    ],
)
def test_settings_that_make_no_sense_are_told(name, value):
    with pytest.raises(SettingsError, match=name):
        ServingSettings.read({name: value})


def test_several_workers_and_several_models_do_not_go_together():
    with pytest.raises(SettingsError, match="SAGEMAKER_MODEL_SERVER_WORKERS must be 1"):
        ServingSettings.read(
            {"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
        )


@pytest.mark.parametrize(
    "environment, host",
    [
        ({}, "127.0.0.1"),
        ({"SLIPWAY_HOST": ""}, "127.0.0.1"),
        # Set in our images alone: there the platform reaches the server over the network.
        ({"SLIPWAY_COMMAND": "serve"}, "0.0.0.0"),
        ({"SLIPWAY_COMMAND": "serve", "SLIPWAY_HOST": "127.0.0.1"}, "127.0.0.1"),
        ({"SLIPWAY_HOST": "0.0.0.0"}, "0.0.0.0"),
    ],
)
def test_outside_our_images_only_this_machine_reaches_the_server(environment, host):
    assert ServingSettings.read(environment).host == host


def test_the_examples_publish_to_this_machine_only():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    # A port without an address is open to the whole network.
    published = re.findall(r"docker run[^\n]* -p (\S+)", text)
    assert published
    assert all(place.startswith("127.0.0.1:") for place in published)
