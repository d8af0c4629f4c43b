"""What the environment says about serving, read once: SageMaker's variables and ours."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """An environment variable that cannot be used; the text quotes it."""


@dataclass(frozen=True)
class Settings:
    """Where to listen, what to load, how much to take. Sizes in MiB, times in seconds."""

    model: Path = Path("/opt/ml/model")
    host: str = "0.0.0.0"
    port: int = 8080
    max_payload_mb: float = 6.0
    precision: str = "f32"
    threads: int = 32
    stop_timeout_s: int = 25  # SageMaker kills 30 s after SIGTERM

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from environment variables. SettingsError for a value that does not parse."""
        root = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
        settings = cls(
            model=Path(environment.get("SLIPWAY_MODEL_DIR", root / "model")),
            host=environment.get("SLIPWAY_HOST", cls.host),
            port=_number(environment, "SAGEMAKER_BIND_TO_PORT", cls.port, 1, 65535),
            max_payload_mb=_number(environment, "SAGEMAKER_MAX_PAYLOAD_IN_MB", cls.max_payload_mb, 0.001, 1024),
            precision=environment.get("SLIPWAY_PRECISION", cls.precision),
        )
        if settings.precision not in ("f32", "bf16"):
            raise SettingsError(f"SLIPWAY_PRECISION must be f32 or bf16, found '{settings.precision}'")
        return settings


def _number(environment: Mapping[str, str], name: str, default: int | float, low: float, high: float) -> int | float:
    """The variable's value, of the default's type; the default where it is unset or empty."""
    text = environment.get(name, "").strip()
    try:
        value = type(default)(text) if text else default
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        kind = "whole number" if isinstance(default, int) else "number"
        raise SettingsError(f"{name} must be a {kind} between {low:g} and {high:g}, found '{text}'")
    return value
