"""smdebug's hook around a training: what it saves, SageMaker's debugging rules and `python -m diagnose` read.

Off it is None and costs nothing. On, it never ends a training: its first fault is told in one line, and it takes itself off.
It does not know the training loop: that calls `mode` before a phase, `record` after a forward pass, `close` at the end.
A network under torch.compile cannot be hooked (dynamo would trace into smdebug): train uncompiled while debugging.
"""

import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from artifact.model import write_atomically
from diagnose.locate import process_start
from diagnose.smdebug_compat import load_smdebug
from train.job import DEFAULT_ROOT, Job, JobError

CHOICES = (
    "gradients",
    "weights",
    "biases",
    "activations",
    "samples",
)  # of debug_collections; losses are always saved
TENSORS, MARKER = "tensors", "training.json"
SMDEBUG_ENTRIES = ("collections", "events", "index", "training_job_end.ts", "claim.smd", MARKER)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DebugSettings:
    """What is saved, and every how many steps of each phase. sample: values kept of each larger tensor; 0: whole tensors."""

    collections: tuple[str, ...] = ("gradients", "weights", "activations", "samples")
    train_interval: int = 10
    eval_interval: int = 1
    predict_interval: int = 1
    sample: int = 512

    def __post_init__(self):
        unknown = [name for name in self.collections if name not in CHOICES]
        if unknown:
            raise JobError(
                f"hyperparameter debug_collections must be of {', '.join(CHOICES)}; found '{unknown[0]}'"
            )


def open_hook(
    job: Job,
    settings: DebugSettings | None,
    network: nn.Module,
    gradient_scale: Callable[[], float] | None = None,
) -> "Hook | None":
    """The hook that SageMaker's debughookconfig.json asks for, else `settings`; None when neither does, or smdebug cannot.

    gradient_scale: `scaler.get_scale` of an enabled GradScaler; saved gradients are divided by it.
    """
    config = config_file(job)
    if (config is None and settings is None) or os.environ.get(
        "USE_SMDEBUG", "1"
    ).strip().lower() in ("0", "false"):
        return None
    if (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_rank() != 0
    ):
        return None
    if isinstance(network, torch._dynamo.OptimizedModule):
        log.warning(
            "debug: the network is compiled and cannot be watched; set debug or torch.compile, not both"
        )
        return None
    if isinstance(network, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
        network = network.module
    try:
        with load_smdebug():
            return Hook(job, config, settings, network, gradient_scale)
    except Exception as error:  # a hook that cannot be had is a pity, not a failure
        log.warning("debug: no tensors will be saved: %s", _sentence(error))
        return None


def config_file(job: Job) -> Path | None:
    """SageMaker's debughookconfig.json, or the file that SMDEBUG_CONFIG_FILE_PATH names; None where there is none."""
    path = Path(
        os.environ.get("SMDEBUG_CONFIG_FILE_PATH")
        or job.root / "input" / "config" / "debughookconfig.json"
    )
    return path if path.is_file() else None


class Hook:
    """smdebug on one network. No method raises."""

    def __init__(
        self,
        job: Job,
        config: Path | None,
        settings: DebugSettings | None,
        network: nn.Module,
        gradient_scale,
    ):
        from train.recording.smdebug_hook import TrainingHook

        self.broken = False
        self.network = network
        if config is not None:
            written = json.loads(config.read_text(encoding="utf-8"))
            self.folder = local_path(job, written.get("LocalPath"))
            written["LocalPath"] = str(self.folder)
            set_aside(self.folder)
            with tempfile.TemporaryDirectory() as scratch, _without_checkpoints():
                (Path(scratch) / config.name).write_text(json.dumps(written), encoding="utf-8")
                self.smdebug = TrainingHook.create(
                    f"{scratch}/{config.name}", self._fault, gradient_scale
                )
        else:
            self.folder = job.output_data / TENSORS
            set_aside(self.folder)
            with _without_checkpoints():
                self.smdebug = TrainingHook(
                    str(self.folder),
                    settings.sample,
                    self._fault,
                    gradient_scale,
                    **_smdebug_settings(settings),
                )
            _add_collections(self.smdebug, settings, network)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mark(ended=False)
        self.smdebug.register_module(network)
        self.mode("train")
        log.info("debug: tensors go to '%s'", self.folder)

    def mode(self, name: str) -> None:
        """Which phase the next forward passes belong to: train, eval or predict."""
        from smdebug.core.modes import ModeKeys

        self._try(lambda: self.smdebug.set_mode(ModeKeys[name.upper()]))

    def record(
        self,
        loss: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits: torch.Tensor | None = None,
        name: str = "CrossEntropyLoss",
    ) -> None:
        """What the rules need of the step whose forward pass just ended; call it before the next one.

        loss: scalar. labels: int [N], or [N, C] with one 1 a row (rows with several are not saved). logits: [N, C].
        Costs nothing at steps that are not saved.
        """

        def save() -> None:
            if self.smdebug.writer is None:
                return
            if loss is not None:
                self.smdebug.save(f"{name}_output_0", loss.detach().float().mean())
            if labels is not None and logits is not None:
                chosen = labels if labels.ndim == 1 else labels.argmax(1)
                if labels.ndim == 1 or bool((labels > 0.5).sum(1).le(1).all()):
                    self.smdebug.save("labels", chosen.long())
                    self.smdebug.save("predictions", logits.detach().argmax(1))

        self._try(save)

    def close(self) -> None:
        """Write what is open, mark the training as ended, and leave the network as it was."""
        if not self.broken:
            self._try(self.smdebug.close)
        self.smdebug.remove()
        try:
            self._mark(ended=True)
        except OSError:
            pass  # told already, or nothing but the mark is missing

    def _try(self, action: Callable[[], None]) -> None:
        if self.broken:
            return
        try:
            action()
        except Exception as error:  # whatever it is: a fault here must not end the training
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        if self.broken:
            return
        self.broken = True
        log.warning("debug: no more tensors are saved, the training goes on: %s", _sentence(error))
        self.smdebug.remove()

    def _mark(self, ended: bool) -> None:
        """Who trains, for rules that run beside it: `pid` on `host`, and when that process started, in clock ticks."""
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": process_start(os.getpid()),
            "ended": ended,
            "sample": self.smdebug.sample,
        }
        write_atomically(self.folder / MARKER, json.dumps(facts).encode())


def local_path(job: Job, given: str | None) -> Path:
    """Where to save: what the configuration says, with /opt/ml standing for the job's root."""
    return job.path(given or f"{DEFAULT_ROOT}/output/{TENSORS}")


def set_aside(folder: Path) -> None:
    """Move an earlier run's tensors to `<folder>.previous`, of which one is kept: smdebug refuses a folder that holds a run."""
    entries = [folder / name for name in SMDEBUG_ENTRIES if (folder / name).exists()]
    if not entries:
        return
    previous = folder.with_name(folder.name + ".previous")
    shutil.rmtree(previous, ignore_errors=True)
    previous.mkdir(parents=True)
    for entry in entries:
        shutil.move(str(entry), previous / entry.name)


def _smdebug_settings(settings: DebugSettings) -> dict:
    from smdebug import SaveConfig, SaveConfigMode
    from smdebug.core.modes import ModeKeys

    intervals = {
        ModeKeys.TRAIN: settings.train_interval,
        ModeKeys.EVAL: settings.eval_interval,
        ModeKeys.PREDICT: settings.predict_interval,
        ModeKeys.GLOBAL: settings.train_interval,
    }
    return {
        "save_config": SaveConfig(
            {mode: SaveConfigMode(save_interval=interval) for mode, interval in intervals.items()}
        ),
        "include_collections": [name for name in _regexes(settings, "") if name != "losses"]
        + ["losses"],
    }


def _add_collections(hook, settings: DebugSettings, network: nn.Module) -> None:
    """Which tensors belong to which collection, and in what form they are saved."""
    from smdebug import ReductionConfig

    for name, (regex, reductions, raw) in _regexes(settings, network._get_name()).items():
        collection = hook.get_collection(name)
        if regex:
            collection.include(regex)
        if settings.sample and name != "losses":
            collection.reduction_config = ReductionConfig(
                reductions=[entry for entry in reductions if not entry.startswith("abs_")],
                abs_reductions=[
                    entry.removeprefix("abs_") for entry in reductions if entry.startswith("abs_")
                ],
                save_raw_tensor=raw,
            )


def _regexes(settings: DebugSettings, root: str) -> dict[str, tuple[str, tuple[str, ...], bool]]:
    """Collection: regex of its tensors (smdebug's own where empty), exact reductions, whether values are kept too."""
    # each node's share of outputs above 0 in place of the outputs, which are gigabytes
    relu_outputs = (
        {"relu_activity": (r"relu\d*_output|relu\d*_activity", (), True)}
        if settings.sample
        else {"relu_output": (r"relu\d*_output", (), True)}
    )
    parts = {
        "gradients": {"gradients": ("", ("abs_mean", "abs_max"), True)},
        "weights": {"weights": ("", ("abs_max",), True)},
        "biases": {"biases": ("", ("abs_max",), True)},
        "activations": {
            "relu_input": (r"relu\d*_input", ("variance",), False),
            **relu_outputs,
            "tanh_input": (r"tanh\d*_input", (), True),
            "sigmoid_input": (r"sigmoid\d*_input", (), True),
        },
        "samples": {
            "labels": ("^labels", (), True),
            "predictions": ("^predictions", (), True),
            "inputs": (f"^{root}_input_0", (), True),
        },
    }
    return {"losses": ("", (), True)} | {
        name: entry
        for part in CHOICES
        if part in settings.collections
        for name, entry in parts[part].items()
    }


@contextmanager
def _without_checkpoints() -> Iterator[None]:
    """With a checkpointconfig.json smdebug walks the checkpoints at every step and leaves a metadata.json in them."""
    name = "CHECKPOINT_CONFIG_FILE_PATH"
    given = os.environ.get(name)
    os.environ[name] = os.devnull + "/none"
    try:
        yield
    finally:
        os.environ.pop(name)
        if given is not None:
            os.environ[name] = given


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"the package '{error.name}' is not installed (smdebug==1.0.34 is what saves tensors)"
        )
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
