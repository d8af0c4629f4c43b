"""smdebug's PyTorch hook without its traps: what it saves is what smdebug's readers and SageMaker's rules read.

Changed: files are written by `train.recording.event_files`; bfloat16, integers, tensor subclasses and dictionaries are saved; frozen
parameters are left out, those that are unfrozen later are taken in; what was recorded in one mode is never filed under the
next; module hooks can be removed.
Imports smdebug and torch: load it late, by `train.recording.hooks`.
"""

import atexit
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from smdebug.core import singleton_utils
from smdebug.core.error_handling_agent import ErrorHandlingAgent
from smdebug.core.modes import ModeKeys
from smdebug.core.utils import is_first_process
from smdebug.pytorch.hook import Hook as SmdebugHook
from torch import nn

from train.recording.event_files import EventFiles

ACTIVATIONS = {nn.ReLU: "relu", nn.ReLU6: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
SAMPLES = (
    "losses",
    "labels",
    "predictions",
    "inputs",
)  # collections that also validation and prediction save in compact form
VALUES_A_NODE = 256  # kept of what goes into a tanh or sigmoid: nodes are judged one by one
INPUT_SIDE, INPUT_PHOTOS = (
    32,
    512,
)  # pixels a side and photos in all that the sample of inputs keeps: enough for channel means


class TrainingHook(SmdebugHook):
    """smdebug's hook on one network, all of whose callbacks hand their faults to `fault` instead of raising.

    sample: values kept of every larger tensor, beside exact reductions ("compact"); 0 saves as smdebug does.
    gradient_scale: what a GradScaler has multiplied the loss with; saved gradients are divided by it.
    """

    def __init__(
        self,
        out_dir: str,
        sample: int,
        fault: Callable[[Exception], None],
        gradient_scale: Callable[[], float] | None,
        **settings,
    ):
        # smdebug's own guard is of the whole process: it may have been switched off by an earlier hook
        agent = ErrorHandlingAgent.get_error_handling_agent()
        agent.hook, agent.disable_smdebug = None, False
        super().__init__(out_dir=out_dir, **settings)
        agent.hook = None
        self.sample, self.fault, self.gradient_scale = sample, fault, gradient_scale
        self.handles: list = []
        self.frozen: dict[str, nn.Parameter] = {}
        self.pending: list[tuple[str, torch.Tensor, tuple[int, ...]]] = []
        self.photos_saved = 0
        self.scale_of_step = -2, 1.0

    @classmethod
    def create(cls, config: str, fault, gradient_scale) -> "TrainingHook":
        """The hook that SageMaker's debughookconfig.json asks for."""
        from smdebug.core.json_config import create_hook_from_json_config

        def make(**settings):
            return cls(sample=0, fault=fault, gradient_scale=gradient_scale, **settings)

        return create_hook_from_json_config(make, config)

    # --- on and off the network

    def register_module(self, module: nn.Module) -> None:
        """Hook the network. Activations get names that say what they are: VGG's `features.1` becomes `features.1.relu`."""
        everything = not self.sample or self.profiler_config_parser.config is not None
        for name, part in module.named_modules():
            kind = ACTIVATIONS.get(type(part))
            part._module_name = (
                f"{name}.{kind}" if kind and not name.rpartition(".")[2].startswith(kind) else name
            )
            self.module_set.add(part)
            if everything or kind or part is module:
                if part is module:
                    self.handles.append(
                        part.register_forward_pre_hook(self._guarded(self._before_step))
                    )
                self.handles.append(
                    part.register_forward_pre_hook(self._guarded(self._save_inputs))
                )
                self.handles.append(
                    part.register_forward_hook(
                        self._guarded(partial(SmdebugHook.forward_hook.__wrapped__, self))
                    )
                )
        module._module_name = module._get_name()
        for name, parameter in module.named_parameters():
            self.frozen[f"{module._get_name()}_{name}"] = parameter
        self._take_in_unfrozen()
        self.has_registered_module = True

    def remove(self) -> None:
        """Take every callback off the network again, and let go of files that could not be finished."""
        if self.writer is not None:
            self.writer.abandon()
            self.writer = None
        for handle in self.handles:
            handle.remove()
        for part in self.module_set:
            if "_module_name" in part.__dict__:
                del part._module_name
        self.handles, self.module_set = [], set()
        atexit.unregister(
            self._cleanup
        )  # else the folder is written to again when the process ends
        singleton_utils.del_hook()

    def _take_in_unfrozen(self) -> None:
        for name in [name for name, parameter in self.frozen.items() if parameter.requires_grad]:
            parameter = self.frozen.pop(name)
            self.handles.append(
                parameter.register_hook(
                    self._guarded(SmdebugHook.backward_hook.__wrapped__(self, name))
                )
            )

    def _guarded(self, function: Callable) -> Callable:
        """The function as a callback of torch's that raises nothing. `__wrapped__`: past smdebug's own guard, which raises or falls silent."""

        def call(*arguments):
            try:
                with torch.no_grad():  # nothing that is saved may become part of the graph
                    function(*arguments)
            except Exception as error:  # whatever it is: a fault here must not end the training
                self.fault(error)

        return call

    def _before_step(self, module: nn.Module, inputs: tuple) -> None:
        if self.frozen:
            self._take_in_unfrozen()
        SmdebugHook.forward_pre_hook.__wrapped__(self, module, inputs)
        if not self.exported_collections and self._get_collections_to_save_for_step():
            self.export_collections()  # smdebug waits for the second saved step; a rule beside the training need not
            self.exported_collections = True

    # --- what is saved

    def _save_inputs(self, module: nn.Module, inputs: tuple) -> None:
        """Before the module runs: one that works in place, as most ReLUs do, leaves nothing of its input."""
        if self._get_collections_to_save_for_step():
            super()._write_inputs(module._module_name, inputs)

    def _write_inputs(self, name, inputs) -> None:
        """What smdebug calls when the module has run; its inputs are saved already."""

    def set_mode(self, mode: ModeKeys) -> None:
        if mode != self.mode and self.writer is not None:
            self._close_writers()  # else what is still open would be filed under the new mode
        super().set_mode(mode)

    def _get_collections_to_save_for_step(self):
        if self._collections_to_save_for_step is None:
            chosen = super()._get_collections_to_save_for_step()
            if self.sample and self.mode != ModeKeys.TRAIN:
                self._collections_to_save_for_step = {
                    entry for entry in chosen if entry.name in SAMPLES
                }
        return self._collections_to_save_for_step

    def _log_params(self, module: nn.Module) -> None:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                self._save_for_tensor(f"{module._get_name()}_{name}", parameter.data)

    def _write(self, module_name, var, suffix, idx):
        if isinstance(var, dict):
            var = list(var.values())
        if isinstance(var, torch.Tensor):
            var = var.detach().as_subclass(torch.Tensor)  # tv_tensors.Image and the like
        return super()._write(module_name, var, suffix, idx)

    def _initialize_writers(self, only_initialize_if_missing: bool = False) -> None:
        if self.dry_run or (only_initialize_if_missing and self.writer is not None):
            return
        if self.first_process is None:
            self.first_process = self._get_num_workers() > 1 or is_first_process(self.out_dir)
        if self.first_process and (self.save_all_workers or self.worker == self.chief_worker):
            self.writer = EventFiles(self.out_dir, self.step, self.worker)

    def save(self, name: str, value: torch.Tensor) -> None:
        """Save a tensor now, under the step and mode under way, if a collection of this step asks for its name."""
        if self.writer is not None and self._get_collections_to_save_for_step():
            with torch.no_grad():
                self._save_for_tensor(name, value.detach())

    def _save_for_tensor(self, tensor_name, tensor_value, check_before_write=True):
        if tensor_name.startswith(self.GRADIENT_PREFIX) and self.gradient_scale is not None:
            if self.scale_of_step[0] != self.step:
                self.scale_of_step = self.step, self.gradient_scale()  # asking waits for the GPU
            scale = self.scale_of_step[1]
            if scale != 1:
                tensor_value = tensor_value.float() / scale
                if not bool(torch.isfinite(tensor_value).all()):
                    return  # the scaler tries a scale too large and skips this step: no fault of the training
        super()._save_for_tensor(tensor_name, tensor_value, check_before_write)

    def _write_for_tensor(self, tensor_name, tensor_value, save_collections, tensor_ref=None):
        if not self.sample:
            super()._write_for_tensor(tensor_name, tensor_value, save_collections, tensor_ref)
            return
        names = {collection.name for collection in save_collections}
        value = tensor_value.float() if tensor_value.is_floating_point() else tensor_value
        if "relu_activity" in names:
            places = [axis for axis in range(value.ndim) if axis != (1 if value.ndim != 3 else 2)]
            self._later(
                tensor_name.replace("relu_output_", "relu_activity_"), value.sign().mean(places)
            )  # of a ReLU: none is below 0
        elif "inputs" in names:
            if self.photos_saved < INPUT_PHOTOS:
                self.photos_saved += len(value)
                steps = [-(-size // INPUT_SIDE) for size in value.shape[2:]]
                self._later(
                    tensor_name,
                    value[
                        (slice(None), slice(None), *(slice(None, None, step) for step in steps))
                    ].clone(),
                )
        elif names & {"labels", "predictions", "losses"}:
            self._later(tensor_name, value.clone())
        elif names & {"tanh_input", "sigmoid_input"}:
            self._later(tensor_name, thinned(value, VALUES_A_NODE))
        else:
            self._reduce(tensor_name, value, save_collections)

    def _reduce(self, name: str, value: torch.Tensor, collections) -> None:
        """The reductions that the collections ask for, exact, and where they keep raw tensors an evenly spaced sample."""
        wanted = {
            (reduction, exact)
            for entry in collections
            for exact, kinds in (
                (False, entry.reduction_config.reductions),
                (True, entry.reduction_config.abs_reductions),
            )
            for reduction in kinds
        }
        for reduction, absolute in sorted(wanted):
            self._later(
                self._get_reduction_tensor_name(name, reduction, absolute),
                self._get_reduction_of_data(reduction, value, name, absolute),
            )
        if any(entry.reduction_config.save_raw_tensor for entry in collections):
            self._later(name, sampled(value, self.sample))

    def _later(self, name: str, value: torch.Tensor) -> None:
        self.pending.append((name, value, tuple(value.shape)))

    def _write_pending(self) -> None:
        """One copy from the device a step, not one a tensor."""
        for dtype in {value.dtype for _, value, _ in self.pending}:
            entries = [entry for entry in self.pending if entry[1].dtype == dtype]
            flat = torch.cat([value.reshape(-1) for _, value, _ in entries]).cpu().numpy()
            ends = np.cumsum([value.numel() for _, value, _ in entries])
            for (name, _, shape), part in zip(entries, np.split(flat, ends[:-1])):
                self.writer.write_tensor(
                    part.reshape(shape), name, mode=self.mode, mode_step=self.mode_steps[self.mode]
                )
        self.pending = []

    def _close_writers(self) -> None:
        if self.pending and self.writer is not None:
            self._write_pending()
        super()._close_writers()

    @staticmethod
    def _get_reduction_of_data(reduction_name, tensor_value, tensor_name, abs):
        if isinstance(tensor_value, torch.Tensor):
            tensor_value = (
                tensor_value.detach().float()
            )  # a mean of integers is an error, of float16 an overflow
            if reduction_name == "variance" and not abs and tensor_value.numel() > 1:
                return variance(tensor_value)
            if (
                abs and reduction_name == "max" and tensor_value.numel()
            ):  # without a copy of absolute values; NaN and infinity go through
                return torch.stack(torch.aminmax(tensor_value)).abs().max()
        return SmdebugHook._get_reduction_of_data(reduction_name, tensor_value, tensor_name, abs)

    @staticmethod
    def _make_numpy_array(tensor_value):
        if isinstance(tensor_value, torch.Tensor) and tensor_value.dtype == torch.bfloat16:
            tensor_value = tensor_value.float()
        return SmdebugHook._make_numpy_array(tensor_value)


def variance(value: torch.Tensor) -> torch.Tensor:
    """Unbiased, of all values; a quarter of torch.var's time on a processor, to within a millionth of the mean square."""
    count, mean, square = (
        value.numel(),
        value.mean().double(),
        torch.linalg.vector_norm(value).double() ** 2,
    )
    return ((square - count * mean**2) / (count - 1)).clamp(min=0).float()


def sampled(value: torch.Tensor, most: int) -> torch.Tensor:
    """At most so many values, evenly spaced in memory; the same places for the same shape, whatever the layout's strides."""
    if value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last):
        value = value.permute(0, 2, 3, 1)
    flat = value.reshape(-1)
    step = -(-len(flat) // most)
    while step > 1 and (
        step % 2 == 0 or step % 3 == 0
    ):  # else only one place of every 3x3 kernel would be seen
        step += 1
    return flat[::step].clone()


def thinned(value: torch.Tensor, most: int) -> torch.Tensor:
    """[N, C, H, W], [N, T, F] or [N, F] with at most about so many values a channel or feature, evenly spaced; all channels stay."""
    nodes = value.ndim - 1 if value.ndim == 3 else 1
    axes = [axis for axis in range(value.ndim) if axis != nodes]
    kept = max(1, int(most ** (1 / max(1, len(axes)))))
    return value[
        tuple(
            slice(None) if axis == nodes else slice(None, None, -(-size // kept))
            for axis, size in enumerate(value.shape)
        )
    ].clone()
