"""smdebug's hook around a training, for SageMaker's debugging rules and `python -m diagnose`.

A training without it has None instead, which costs nothing. The hook never ends a training: its
first fault is one log line, and it takes itself off. It does not know the training loop: that calls
`mode` before a phase, `record` after a forward pass, and `close` at the end. A network under
torch.compile cannot be hooked (dynamo would trace into smdebug): train uncompiled to debug.
"""

import contextlib
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from artifact.model import write_atomically
from artifact.text.json_text import read_json
from diagnose.locate import process_start
from diagnose.smdebug_compat import load_smdebug
from train.job import DEFAULT_ROOT, Job
from train.recording.debug_settings import (
    DebugSettings,
    add_collections,
    losses_alone,
    smdebug_settings,
)
from train.recording.module_names import class_name, set_name

if TYPE_CHECKING:
    from train.recording.smdebug_hook import TrainingHook

TENSORS = "tensors"  # the folder of saved tensors
MARKER = "training.json"  # says which process saves them
SMDEBUG_ENTRIES = ("collections", "events", "index", "training_job_end.ts", "claim.smd", MARKER)
CHECKPOINTS = "CHECKPOINT_CONFIG_FILE_PATH"

log = logging.getLogger(__name__)


def open_hook(
    job: Job,
    settings: DebugSettings | None,
    network: nn.Module,
    gradient_scale: Callable[[], float] | None = None,
) -> "Hook | None":
    """The hook of SageMaker's debughookconfig.json, else of `settings`.

    None when neither asks for one, and when smdebug cannot give one. gradient_scale:
    `scaler.get_scale` of an enabled GradScaler; saved gradients are divided by it.
    """
    config = config_file(job)
    if config is None and settings is None:
        return None
    if os.environ.get("USE_SMDEBUG", "1").strip().lower() in ("0", "false"):
        return None
    if not _is_first_process():
        return None
    alone = config is not None and asks_for_losses_alone(config)
    if isinstance(network, torch._dynamo.OptimizedModule) and not alone:
        log.warning(
            "debug: the network is compiled and cannot be watched; "
            "set debug or torch.compile, not both"
        )
        return None
    if isinstance(network, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
        network = network.module
    try:
        with load_smdebug():
            return Hook(job, config, settings or DebugSettings(), network, gradient_scale)
    except Exception as error:  # any: a training does not need its hook
        log.warning("debug: no tensors will be saved: %s", _sentence(error))
        return None


def _is_first_process() -> bool:
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return True
    return distributed.get_rank() == 0


def config_file(job: Job) -> Path | None:
    """SageMaker's debughookconfig.json, or SMDEBUG_CONFIG_FILE_PATH's file; None without one."""
    given = os.environ.get("SMDEBUG_CONFIG_FILE_PATH")
    path = job.root / "input" / "config" / "debughookconfig.json"
    if given:
        path = Path(given)
    return path if path.is_file() else None


def asks_for_losses_alone(config: Path) -> bool:
    """Whether a file asks for no tensor of the network; False where it cannot be read."""
    try:
        return losses_alone(read_json(config.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False


class Hook:
    """smdebug on one network. No method raises, but making it may.

    config: SageMaker's file; it wins over the settings. observes_network: whether it takes tensors
    from within the network; one that saves losses alone does not, and hardly costs anything.
    """

    def __init__(
        self,
        job: Job,
        config: Path | None,
        settings: DebugSettings,
        network: nn.Module,
        gradient_scale: Callable[[], float] | None,
    ):
        self.broken = False
        self.network = network
        self.observes_network = config is None or not asks_for_losses_alone(config)
        if config is not None:
            values = read_json(config.read_text(encoding="utf-8"))
            self.folder = local_path(job, values.get("LocalPath"))
            self.smdebug = self._configured(values, gradient_scale)
        else:
            self.folder = job.output_data / TENSORS
            self.smdebug = self._of_settings(settings, gradient_scale)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mark(ended=False)
        if self.observes_network:
            self.smdebug.register_module(network)
        else:
            self.smdebug.module_set.add(network)
            set_name(network, class_name(network))
        self.mode("train")
        log.info("debug: tensors go to '%s'", self.folder)

    def _configured(
        self, values: dict[str, object], gradient_scale: Callable[[], float] | None
    ) -> "TrainingHook":
        """smdebug's hook of SageMaker's configuration, which it takes from a file only."""
        from train.recording.smdebug_hook import TrainingHook

        values["LocalPath"] = str(self.folder)
        set_aside(self.folder)
        with tempfile.TemporaryDirectory() as scratch, _without_checkpoints():
            path = Path(scratch) / "debughookconfig.json"
            path.write_text(json.dumps(values), encoding="utf-8")
            return TrainingHook.create(str(path), self._fault, gradient_scale)

    def _of_settings(
        self, settings: DebugSettings, gradient_scale: Callable[[], float] | None
    ) -> "TrainingHook":
        from train.recording.smdebug_hook import TrainingHook

        set_aside(self.folder)
        with _without_checkpoints():
            hook = TrainingHook(
                str(self.folder),
                settings.sample,
                self._fault,
                gradient_scale,
                **smdebug_settings(settings),
            )
        add_collections(hook, settings, type(self.network).__name__)
        return hook

    def mode(self, name: str) -> None:
        """Set the phase of the next forward passes: train, eval or predict."""
        from smdebug.core.modes import ModeKeys

        self._try(lambda: self.smdebug.set_mode(ModeKeys[name.upper()]))

    def record(
        self,
        loss: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits: torch.Tensor | None = None,
        name: str = "CrossEntropyLoss",
    ) -> None:
        """Save the loss and answers of the forward pass that just ended, before the next one.

        loss: scalar. labels: int [N], or [N, C] with one 1 in a row (batches with several labels
        are not saved). logits: [N, C]. It costs nothing at steps that are not saved.
        """

        def save() -> None:
            if not self.observes_network:
                self.smdebug.begin_step(self.network, ())  # no forward pass tells it
            if self.smdebug.writer is None:
                return
            if loss is not None:
                self.smdebug.save(f"{name}_output_0", loss.detach().float().mean())
            if labels is not None and logits is not None:
                classes = _single_labels(labels)
                if classes is not None:
                    self.smdebug.save("labels", classes)
                    self.smdebug.save("predictions", logits.detach().argmax(1))

        self._try(save)

    def close(self) -> None:
        """Write open files, mark the training as ended, and leave the network as it was."""
        if not self.broken:
            self._try(self.smdebug.close)
        self.smdebug.remove()
        # a failing disk is reported already, or nothing but the mark is missing
        with contextlib.suppress(OSError):
            self._mark(ended=True)

    def _try(self, action: Callable[[], None]) -> None:
        if self.broken:
            return
        try:
            action()
        except Exception as error:  # any: a fault here must not end the training
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        if self.broken:
            return
        self.broken = True
        log.warning("debug: no more tensors are saved, the training goes on: %s", _sentence(error))
        self.smdebug.remove()

    def _mark(self, ended: bool) -> None:
        """Write which process trains, for rules that run beside it.

        It is `pid` on `host`, `started` at a time in clock ticks since the boot.
        """
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": process_start(os.getpid()),
            "ended": ended,
            "sample": self.smdebug.sample,
        }
        write_atomically(self.folder / MARKER, json.dumps(facts).encode())


def _single_labels(labels: torch.Tensor) -> torch.Tensor | None:
    """Class indices, int64 [N]; None when a row of an indicator matrix has several labels."""
    if labels.ndim == 1:
        return labels.long()
    if bool((labels > 0.5).sum(1).le(1).all()):
        return labels.argmax(1)
    return None


def local_path(job: Job, given: str | None) -> Path:
    """The folder of saved tensors: the configuration's, with the job's root in place of /opt/ml."""
    return job.path(given or f"{DEFAULT_ROOT}/output/{TENSORS}")


def set_aside(folder: Path) -> None:
    """Move an earlier run's tensors to `<folder>.previous`; only the last run is kept there.

    smdebug refuses a folder that holds a run.
    """
    entries = [folder / name for name in SMDEBUG_ENTRIES if (folder / name).exists()]
    if not entries:
        return
    previous = folder.with_name(folder.name + ".previous")
    shutil.rmtree(previous, ignore_errors=True)
    previous.mkdir(parents=True)
    for entry in entries:
        shutil.move(str(entry), previous / entry.name)


@contextlib.contextmanager
def _without_checkpoints() -> Iterator[None]:
    """Hide checkpointconfig.json from smdebug.

    With it, smdebug walks the checkpoints at every step and leaves a metadata.json in them.
    """
    given = os.environ.get(CHECKPOINTS)
    os.environ[CHECKPOINTS] = os.devnull + "/none"
    try:
        yield
    finally:
        os.environ.pop(CHECKPOINTS)
        if given is not None:
            os.environ[CHECKPOINTS] = given


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        package = f"the package '{error.name}' is not installed"
        return f"{package} (smdebug==1.0.34 is what saves tensors)"
    lines = str(error).splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"
