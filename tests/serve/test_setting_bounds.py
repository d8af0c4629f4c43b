"""Every setting at its bounds and beyond, and the settings of an empty environment."""

from pathlib import Path

import pytest

from artifact.host.host_rule import HostRule
from serve import settings as reading
from serve.factory import _connection_limits
from serve.settings import ServingSettings, SettingsError

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of 8 cores and 1000 MB."""
    # The tests' own machine must not matter.
    monkeypatch.setattr(reading, "cpu_count", lambda: 8)
    monkeypatch.setattr(reading, "memory_limit", lambda: 1_000_000_000)


def test_the_settings_of_an_empty_environment():
    assert ServingSettings.read({}) == ServingSettings(
        model=Path("/opt/ml/model"),
        models=Path("/opt/ml/models"),
        host="127.0.0.1",
        port=8080,
        max_payload_mb=6.0,
        precision="auto",
        device="auto",
        workers=1,
        threads=8,
        max_requests=256,
        body_budget=100_000_000,
        timeout_s=60.0,
        batch_transform=False,
        multi_model=False,
        evict=False,
        max_model_mb=10_240,
        page=False,
        samples=None,
        sure_from=0.5,
        hosts=HostRule.of("127.0.0.1", [], "SLIPWAY_ALLOW_HOST"),
        stop_timeout_s=25,
    )
    assert ServingSettings().body_budget == 256 * MIB


@pytest.mark.parametrize(
    "name, field, low, high",
    [
        ("SAGEMAKER_BIND_TO_PORT", "port", 1, 65_535),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "workers", 1, 64),
        ("SLIPWAY_THREADS", "threads", 1, 1024),
        ("SLIPWAY_MAX_REQUESTS", "max_requests", 1, 4096),
    ],
)
def test_whole_numbers(name, field, low, high):
    for value in (low, high):
        assert getattr(ServingSettings.read({name: f" {value} "}), field) == value
    for text in (str(low - 1), str(high + 1), "many", f"{low}.0"):
        with pytest.raises(SettingsError) as caught:
            ServingSettings.read({name: text})
        bounds = f"between {low} and {high}"
        assert str(caught.value) == f"{name} must be a whole number {bounds}, found '{text}'"


@pytest.mark.parametrize(
    "name, field, low, high",
    [
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "timeout_s", 1, 3600),
        ("SLIPWAY_SURE_FROM", "sure_from", 0, 1),
    ],
)
def test_numbers(name, field, low, high):
    check_bounds(name, field, low, high)


def test_a_body_fits_the_memory(monkeypatch):
    name = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
    # A gigabyte is there: a quarter of it for one body.
    assert ServingSettings.read({name: "1024"}).max_payload_mb == pytest.approx(238.4, abs=0.1)
    monkeypatch.setattr(reading, "memory_limit", lambda: 100_000_000)
    assert ServingSettings.read({name: "500"}).max_payload_mb == 100
    monkeypatch.setattr(reading, "memory_limit", lambda: 8_000_000_000)
    check_bounds(name, "max_payload_mb", 0, 1024)


def check_bounds(name: str, field: str, low: int, high: int) -> None:
    for value in (low + 0.5, high):
        assert getattr(ServingSettings.read({name: str(value)}), field) == value
    assert ServingSettings.read({name: str(low)})
    for text in (str(low - 0.1), str(high + 0.1), "nan", "many"):
        with pytest.raises(SettingsError) as caught:
            ServingSettings.read({name: text})
        bounds = f"between {low} and {high}"
        assert str(caught.value) == f"{name} must be a number {bounds}, found '{text}'"


def test_no_limit_on_the_payload_is_what_batch_transform_sends_at_most():
    assert ServingSettings.read({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).max_payload_mb == 100.0


@pytest.mark.parametrize(
    "workers, threads, budget",
    # More workers than cores: each has a thread all the same.
    [("2", 4, 50_000_000), ("3", 2, 33_333_333), ("8", 1, 12_500_000), ("9", 1, 11_111_111)],
)
def test_workers_share_the_cores_and_the_memory(workers, threads, budget):
    settings = ServingSettings.read({"SAGEMAKER_MODEL_SERVER_WORKERS": workers})
    assert settings.threads == threads
    assert settings.body_budget == budget


@pytest.mark.parametrize(
    "text, expected",
    [("true", True), ("True", True), ("1", True), (" false ", False), ("0", False), ("", False)],
)
def test_flags(text, expected):
    names = {
        "SAGEMAKER_BATCH": "batch_transform",
        "SLIPWAY_EVICT_MODELS": "evict",
        "SLIPWAY_HOOKS": "hooks",
    }
    for name, field in names.items():
        assert getattr(ServingSettings.read({name: text}), field) is expected


@pytest.mark.parametrize("text", ["yes", "2", "on"])
def test_a_flag_that_is_neither_is_refused(text):
    with pytest.raises(SettingsError) as caught:
        ServingSettings.read({"SLIPWAY_PAGE": text})
    assert str(caught.value) == f"SLIPWAY_PAGE must be true or false, found '{text}'"


@pytest.mark.parametrize(
    "environment, folder",
    [
        ({"SLIPWAY_MODEL_DIR": "/a"}, "/a"),
        ({"SLIPWAY_MODEL_DIR": "/a", "SAGEMAKER_BASE_DIR": "/b"}, "/a"),
        ({"SAGEMAKER_BASE_DIR": "/b"}, "/b/model"),
        # Empty is the same as not set.
        ({"SAGEMAKER_BASE_DIR": ""}, "/opt/ml/model"),
    ],
)
def test_the_models_folder(environment, folder):
    assert ServingSettings.read(environment).model == Path(folder)


def test_samples_are_for_the_page(tmp_path):
    gone = str(tmp_path / "gone")
    # Without the page nobody looks at samples.
    assert ServingSettings.read({"SLIPWAY_SAMPLES": gone}).samples is None
    page = {"SLIPWAY_PAGE": "1", "SLIPWAY_SAMPLES": str(tmp_path)}
    assert ServingSettings.read(page).samples == tmp_path
    assert ServingSettings.read({"SLIPWAY_PAGE": "1"}).samples is None
    with pytest.raises(SettingsError, match="SLIPWAY_SAMPLES must be a folder of photos"):
        ServingSettings.read({"SLIPWAY_PAGE": "1", "SLIPWAY_SAMPLES": gone})


@pytest.mark.parametrize(
    "variables, words",
    [
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, "must be 1 with SAGEMAKER_MULTI_MODEL"),
        ({"SLIPWAY_PAGE": "1"}, "SLIPWAY_PAGE does not go with SAGEMAKER_MULTI_MODEL"),
    ],
)
def test_several_models_have_one_worker_and_no_page(variables, words):
    with pytest.raises(SettingsError, match=words):
        ServingSettings.read({"SAGEMAKER_MULTI_MODEL": "1", **variables})
    assert ServingSettings.read(variables).multi_model is False


@pytest.mark.parametrize(
    "settings, expected",
    [
        (ServingSettings(), (256, 6 * MIB, 256 * MIB, 20.0, 60.0)),
        (ServingSettings(timeout_s=30), (256, 6 * MIB, 256 * MIB, 10.0, 30)),
        (ServingSettings(max_payload_mb=0.5, body_budget=1), (256, MIB // 2, MIB // 2, 20.0, 60.0)),
        (ServingSettings(max_requests=3, timeout_s=90), (3, 6 * MIB, 256 * MIB, 20.0, 90)),
    ],
)
def test_the_limits_of_connections(settings, expected):
    limits = _connection_limits(settings)
    assert limits.requests == expected[0]
    assert limits.body_bytes == expected[1]
    assert limits.all_bytes == expected[2]
    assert limits.body_s == expected[3]
    assert limits.timeout_s == expected[4]
