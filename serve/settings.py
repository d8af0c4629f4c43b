"""The environment's settings for serving, read once: SageMaker's variables and ours."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from artifact.archives.unpack import MIB, MODEL_BOUNDS, ArchiveBounds
from artifact.engines.choice import DEVICES, PRECISIONS
from artifact.engines.nvidia import visible_gpus
from artifact.host.host_rule import HostRule, is_loopback
from artifact.host.machine import cpu_count, memory_limit

# Batch transform says 0 for "no limit"; this is the most that it sends otherwise.
UNLIMITED_MB = 100.0
MODELS_FOLDER = Path("/opt/ml/models")  # where SageMaker mounts those of a multi-model endpoint
EVERYWHERE = "0.0.0.0"
LOOPBACK = "127.0.0.1"
PORT_OPTION = "SAGEMAKER_BIND_TO_PORT (or PORT= of make web)"  # what sets the port
LARGE_BODY_SHARE = 0.25  # of it, for one body; reading takes twice as much for a moment
REAL_TIME_S = 60.0  # SageMaker's own limit of a real-time request
BATCH_S = 3600.0  # the most that SageMaker gives a request of batch transform
BODY_SHARE = 0.1  # of the memory this process may use, for bodies of requests


class SettingsError(ValueError):
    """An environment variable that cannot be used; the text quotes it."""


@dataclass(frozen=True)
class ServingSettings:
    """Where to listen, what to load, how much to take. Sizes in MiB, times in seconds.

    models: the folder below which a multi-model server loads models. gpus: the names of those that
    the workers share, a worker per GPU by default; none for a multi-model server. threads: cores
    for the engine and the decoding of each worker. max_requests: worked on at the same time by a
    worker.
    body_budget: bytes of all bodies in a worker. max_model_mb: of a model.tar.gz when it is
    unpacked. hooks: whether an artifact's own functions run. page: also offer the page for people.
    samples: the page's folder of photos, with a folder per label. sure_from: the lowest probability
    that the page calls sure. hosts: the names that a request must ask for; None for any. The
    defaults fit the process's cgroup.
    """

    model: Path = Path("/opt/ml/model")
    models: Path = MODELS_FOLDER
    host: str = LOOPBACK
    port: int = 8080
    max_payload_mb: float = 6.0
    precision: str = "auto"
    device: str = "auto"
    workers: int = 1
    gpus: tuple[str, ...] = ()
    threads: int = 1
    max_requests: int = 256
    body_budget: int = 256 * 1024 * 1024
    timeout_s: float = REAL_TIME_S
    batch_transform: bool = False
    multi_model: bool = False
    evict: bool = False
    hooks: bool = False
    max_model_mb: float = MODEL_BOUNDS.size / MIB
    page: bool = False
    samples: Path | None = None
    sure_from: float = 0.5
    hosts: HostRule | None = None
    stop_timeout_s: int = 25  # SageMaker kills 30 s after SIGTERM

    @property
    def patient(self) -> bool:
        """Whether SageMaker waits longer than for a real-time answer: in batch and async."""
        return self.batch_transform or self.timeout_s > REAL_TIME_S

    @property
    def archive_bounds(self) -> ArchiveBounds:
        """Of a model.tar.gz."""
        return replace(MODEL_BOUNDS, size=int(self.max_model_mb * MIB))

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "ServingSettings":
        """Settings from environment variables. Raises SettingsError for a value that is wrong.

        DeviceError for a GPU that is here and cannot be used.
        """
        multi_model = _flag(environment, "SAGEMAKER_MULTI_MODEL")
        device = _choice(environment, "SLIPWAY_DEVICE", DEVICES)
        gpus = () if device == "cpu" or multi_model else tuple(visible_gpus())
        page = _flag(environment, "SLIPWAY_PAGE")
        workers = _workers(environment, gpus)
        if multi_model:
            _check_multi_model(workers, page)
        own_cores = max(1, cpu_count() // workers)
        batch_transform = _flag(environment, "SAGEMAKER_BATCH")
        host = environment.get("SLIPWAY_HOST") or _usual_host(environment)
        return cls(
            model=_folder_below_base(environment, "SLIPWAY_MODEL_DIR", "model"),
            models=_folder_below_base(environment, "SLIPWAY_MODELS_DIR", "models"),
            host=host,
            port=_whole(environment, "SAGEMAKER_BIND_TO_PORT", cls.port, 1, 65535),
            max_payload_mb=_payload_mb(environment, cls.max_payload_mb),
            precision=_choice(environment, "SLIPWAY_PRECISION", PRECISIONS),
            device=device,
            workers=workers,
            gpus=gpus,
            threads=_whole(environment, "SLIPWAY_THREADS", own_cores, 1, 1024),
            max_requests=_whole(environment, "SLIPWAY_MAX_REQUESTS", cls.max_requests, 1, 4096),
            body_budget=int(memory_limit() * BODY_SHARE / workers),
            timeout_s=_timeout_s(environment, batch_transform),
            batch_transform=batch_transform,
            multi_model=multi_model,
            evict=_flag(environment, "SLIPWAY_EVICT_MODELS"),
            hooks=_flag(environment, "SLIPWAY_HOOKS"),
            max_model_mb=_number(environment, "SLIPWAY_MAX_MODEL_MB", cls.max_model_mb, 1, MIB),
            page=page,
            samples=_folder(environment, "SLIPWAY_SAMPLES") if page else None,
            sure_from=_number(environment, "SLIPWAY_SURE_FROM", cls.sure_from, 0, 1),
            hosts=_host_rule(environment, host),
        )


def _timeout_s(environment: Mapping[str, str], batch_transform: bool) -> float:
    default = BATCH_S if batch_transform else REAL_TIME_S
    return _number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT", default, 1, 3600)


def _payload_mb(environment: Mapping[str, str], default: float) -> float:
    """Of a body, in MiB. More than UNLIMITED_MB only where the memory holds it."""
    given = _number(environment, "SAGEMAKER_MAX_PAYLOAD_IN_MB", default, 0, 1024) or UNLIMITED_MB
    fitting = memory_limit() * LARGE_BODY_SHARE / MIB
    return min(given, max(UNLIMITED_MB, fitting))


def _workers(environment: Mapping[str, str], gpus: tuple[str, ...]) -> int:
    """Server processes: as the variable says, else one per GPU."""
    return _whole(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", max(1, len(gpus)), 1, 64)


def _check_multi_model(workers: int, page: bool) -> None:
    if workers > 1:
        raise SettingsError(
            "SAGEMAKER_MODEL_SERVER_WORKERS must be 1 with SAGEMAKER_MULTI_MODEL, "
            f"found '{workers}': a model is loaded into one process"
        )
    if page:
        raise SettingsError(
            "SLIPWAY_PAGE does not go with SAGEMAKER_MULTI_MODEL: the page asks one model; "
            "unset one of them"
        )


def _folder_below_base(environment: Mapping[str, str], variable: str, name: str) -> Path:
    own = environment.get(variable)
    if own:
        return Path(own)
    return Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / name


def _usual_host(environment: Mapping[str, str]) -> str:
    """All addresses in our images, which SageMaker reaches by the network; elsewhere loopback."""
    return EVERYWHERE if environment.get("SLIPWAY_COMMAND") else LOOPBACK


def _host_rule(environment: Mapping[str, str], host: str) -> HostRule | None:
    """The rule of a server on loopback, which web pages of this machine's browsers must not reach.

    None in our images, whatever they listen on: which Host SageMaker sends is not documented.
    """
    if environment.get("SLIPWAY_COMMAND") or not is_loopback(host):
        return None
    names = environment.get("SLIPWAY_ALLOW_HOST", "").split(",")
    return HostRule.of(host, names, "SLIPWAY_ALLOW_HOST")


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "true", "false", "1", "0"):
        raise SettingsError(f"{name} must be true or false, found '{text}'")
    return text in ("true", "1")


def _folder(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not Path(text).is_dir():
        raise SettingsError(
            f"{name} must be a folder of photos, with a folder per label, found '{text}'"
        )
    return Path(text)


def _choice(environment: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    text = environment.get(name, "").strip() or known[0]
    if text not in known:
        raise SettingsError(f"{name} must be one of {', '.join(known)}, found '{text}'")
    return text


def _whole(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """The variable's value; the default where it is unset or empty."""
    text = environment.get(name, "").strip()
    try:
        value = int(text) if text else default
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(
            f"{name} must be a whole number between {low} and {high}, found '{text}'"
        )
    return value


def _number(
    environment: Mapping[str, str], name: str, default: float, low: float, high: float
) -> float:
    """The variable's value; the default where it is unset or empty."""
    text = environment.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not low <= value <= high:  # false for nan, too
        raise SettingsError(f"{name} must be a number between {low:g} and {high:g}, found '{text}'")
    return value
