"""smdebug's PyTorch hook without its traps: smdebug's readers and SageMaker's rules read its files.

Changed: files are written by `train.recording.event_files`; bfloat16, integers, tensor subclasses
and dictionaries are saved; frozen parameters are left out until they are unfrozen; tensors of one
mode are never filed under the next; module hooks can be removed. Load it late, by
`train.recording.hooks`: it imports smdebug.
"""

import atexit
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from smdebug.core import singleton_utils
from smdebug.core.error_handling_agent import ErrorHandlingAgent
from smdebug.core.modes import ModeKeys
from smdebug.core.utils import is_first_process
from smdebug.pytorch.hook import Hook as SmdebugHook
from torch import nn

from train.recording.event_files import EventFiles
from train.recording.module_names import activation, class_name, name_with_kind, set_name
from train.recording.pending import PendingTensors
from train.recording.tensor_samples import activity, quick_reduction, sampled, shrunk, thinned

# collections that validation and prediction save, too, in compact form
SAMPLES = ("losses", "labels", "predictions", "inputs")
VALUES_PER_NODE = 256  # kept of the inputs of a tanh or sigmoid: nodes are judged one by one
INPUT_SIDE = 32  # pixels of the sample of inputs, enough for the means of channels
INPUT_PHOTOS = 512  # in the whole training

Collections = Iterable[Any]  # smdebug's Collection objects, which have no types


class TrainingHook(SmdebugHook):  # type: ignore[misc]  # smdebug has no types
    """smdebug's hook on one network; its callbacks hand faults to `fault` and never raise.

    sample: values kept of every larger tensor, beside exact reductions ("compact"); 0 saves whole
    tensors, as smdebug does. gradient_scale: the factor by which a GradScaler has multiplied the
    loss; saved gradients are divided by it.
    """

    # smdebug's own attributes that are used here
    module_set: set[nn.Module]
    writer: EventFiles | None
    mode: ModeKeys
    exported_collections: bool
    first_process: bool | None
    _collections_to_save_for_step: set[Any] | None

    def __init__(
        self,
        out_dir: str,
        sample: int,
        fault: Callable[[Exception], None],
        gradient_scale: Callable[[], float] | None,
        **settings: object,
    ):
        # smdebug's own guard is of the whole process: an earlier hook may have switched it off
        agent = ErrorHandlingAgent.get_error_handling_agent()
        agent.hook = None
        agent.disable_smdebug = False
        super().__init__(out_dir=out_dir, **settings)
        agent.hook = None
        self.sample = sample
        self.fault = fault
        self.gradient_scale = gradient_scale
        self.handles: list[torch.utils.hooks.RemovableHandle] = []
        self.frozen: dict[str, nn.Parameter] = {}
        self.pending = PendingTensors()
        self.photos_saved = 0
        self.scaled_step = -1  # the step that `scale` is of
        self.scale = 1.0

    @classmethod
    def create(
        cls,
        config: str,
        fault: Callable[[Exception], None],
        gradient_scale: Callable[[], float] | None,
    ) -> "TrainingHook":
        """The hook that SageMaker's debughookconfig.json asks for."""
        from smdebug.core.json_config import create_hook_from_json_config

        def make(**settings: Any) -> "TrainingHook":  # smdebug's keywords
            return cls(sample=0, fault=fault, gradient_scale=gradient_scale, **settings)

        hook: TrainingHook = create_hook_from_json_config(make, config)
        return hook

    # --- on and off the network

    def register_module(self, module: nn.Module) -> None:
        """Hook the network.

        Activations get names that say their kind: VGG's `features.1` becomes `features.1.relu`.
        """
        everything = not self.sample or self.profiler_config_parser.config is not None
        after = partial(SmdebugHook.forward_hook.__wrapped__, self)
        for name, part in module.named_modules():
            kind = activation(part)
            set_name(part, name_with_kind(name, kind))
            self.module_set.add(part)
            if part is module:
                before = self._guarded(self.begin_step)
                self.handles.append(part.register_forward_pre_hook(before))
            if everything or kind or part is module:
                save = self._guarded(self._save_inputs)
                self.handles.append(part.register_forward_pre_hook(save))
                self.handles.append(part.register_forward_hook(self._guarded(after)))
        set_name(module, class_name(module))
        for name, parameter in module.named_parameters():
            self.frozen[f"{class_name(module)}_{name}"] = parameter
        self._take_in_unfrozen()
        self.has_registered_module = True

    def remove(self) -> None:
        """Take every callback off the network, and let go of files that cannot be finished."""
        if self.writer is not None:
            self.writer.abandon()
            self.writer = None
        for handle in self.handles:
            handle.remove()
        for part in self.module_set:
            if "_module_name" in part.__dict__:
                del part._module_name
        self.handles = []
        self.module_set = set()
        # else smdebug writes to the folder again when the process ends
        atexit.unregister(self._cleanup)
        singleton_utils.del_hook()

    def _take_in_unfrozen(self) -> None:
        unfrozen = [name for name, parameter in self.frozen.items() if parameter.requires_grad]
        for name in unfrozen:
            parameter = self.frozen.pop(name)
            save = self._guarded(SmdebugHook.backward_hook.__wrapped__(self, name))
            handle = parameter.register_hook(save)  # type: ignore[no-untyped-call]  # torch's
            self.handles.append(handle)

    def _guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        """The function as a callback for torch that never raises.

        smdebug's methods are called by `__wrapped__`, without their own guard, which raises or
        stays silent.
        """

        def call(*arguments: object) -> None:
            try:
                with torch.no_grad():  # saved tensors must not become part of the graph
                    function(*arguments)
            except Exception as error:  # any: a fault here must not end the training
                self.fault(error)

        return call

    def begin_step(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        if self.frozen:
            self._take_in_unfrozen()
        SmdebugHook.forward_pre_hook.__wrapped__(self, module, inputs)
        # smdebug waits for the second saved step; a rule beside the training needs it earlier
        if not self.exported_collections and self._get_collections_to_save_for_step():
            self.export_collections()
            self.exported_collections = True

    # --- what is saved

    def _save_inputs(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        """Save before the module runs: one that works in place, like most ReLUs, changes them."""
        if self._get_collections_to_save_for_step():
            super()._write_inputs(module._module_name, inputs)

    def _write_inputs(self, name: str, inputs: object) -> None:
        """smdebug calls this when the module has run; its inputs are saved already."""

    def set_mode(self, mode: ModeKeys) -> None:
        if mode != self.mode and self.writer is not None:
            self._close_writers()  # else open files would be filed under the new mode
        super().set_mode(mode)

    def _get_collections_to_save_for_step(self) -> set[Any]:
        if self._collections_to_save_for_step is None:
            chosen: set[Any] = super()._get_collections_to_save_for_step()
            if self.sample and self.mode != ModeKeys.TRAIN:
                chosen = {entry for entry in chosen if entry.name in SAMPLES}
            self._collections_to_save_for_step = chosen
        return self._collections_to_save_for_step

    def _log_params(self, module: nn.Module) -> None:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                self._save_for_tensor(f"{class_name(module)}_{name}", parameter.data)

    def _write(self, module_name: str, var: object, suffix: str, idx: int) -> object:
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
        """Save a tensor under the current step and mode, if a collection of this step wants it."""
        if self.writer is not None and self._get_collections_to_save_for_step():
            with torch.no_grad():
                self._save_for_tensor(name, value.detach())

    def _save_for_tensor(
        self, tensor_name: str, tensor_value: torch.Tensor, check_before_write: bool = True
    ) -> None:
        if tensor_name.startswith(self.GRADIENT_PREFIX) and self.gradient_scale is not None:
            if self.scaled_step != self.step:
                self.scale = self.gradient_scale()  # once a step: asking waits for the GPU
                self.scaled_step = self.step
            if self.scale != 1:
                tensor_value = tensor_value.float() / self.scale
                if not bool(torch.isfinite(tensor_value).all()):
                    return  # the scale was too large and the scaler skips the step: not a fault
        super()._save_for_tensor(tensor_name, tensor_value, check_before_write)

    def _write_for_tensor(
        self,
        tensor_name: str,
        tensor_value: torch.Tensor,
        save_collections: Collections,
        tensor_ref: object = None,
    ) -> None:
        if not self.sample:
            super()._write_for_tensor(tensor_name, tensor_value, save_collections, tensor_ref)
            return
        names = {collection.name for collection in save_collections}
        value = tensor_value.float() if tensor_value.is_floating_point() else tensor_value
        if "relu_activity" in names:
            name = tensor_name.replace("relu_output_", "relu_activity_")
            self.pending.add(name, activity(value))
        elif "inputs" in names:
            if self.photos_saved < INPUT_PHOTOS:
                self.photos_saved += len(value)
                self.pending.add(tensor_name, shrunk(value, INPUT_SIDE))
        elif names & {"labels", "predictions", "losses"}:
            self.pending.add(tensor_name, value.clone())
        elif names & {"tanh_input", "sigmoid_input"}:
            self.pending.add(tensor_name, thinned(value, VALUES_PER_NODE))
        else:
            self._reduce(tensor_name, value, save_collections)

    def _reduce(self, name: str, value: torch.Tensor, collections: Collections) -> None:
        """Save the exact reductions that the collections ask for.

        Where they keep raw tensors, save an evenly spaced sample as well.
        """
        wanted = set()
        raw = False
        for entry in collections:
            config = entry.reduction_config
            wanted |= {(reduction, False) for reduction in config.reductions}
            wanted |= {(reduction, True) for reduction in config.abs_reductions}
            raw = raw or config.save_raw_tensor
        for reduction, absolute in sorted(wanted):
            reduced_name = self._get_reduction_tensor_name(name, reduction, absolute)
            reduced = self._get_reduction_of_data(reduction, value, name, absolute)
            self.pending.add(reduced_name, reduced)
        if raw:
            self.pending.add(name, sampled(value, self.sample))

    def _close_writers(self) -> None:
        if self.pending and self.writer is not None:
            self.pending.write(self.writer, self.mode, self.mode_steps[self.mode])
        super()._close_writers()

    @staticmethod
    def _get_reduction_of_data(
        reduction_name: str,
        tensor_value: Any,  # a tensor, or an array in smdebug's own calls
        tensor_name: str,
        abs: bool,
    ) -> Any:
        if isinstance(tensor_value, torch.Tensor):
            # a mean of integers is an error, one of float16 an overflow
            tensor_value = tensor_value.detach().float()
            reduced = quick_reduction(reduction_name, tensor_value, abs)
            if reduced is not None:
                return reduced
        return SmdebugHook._get_reduction_of_data(reduction_name, tensor_value, tensor_name, abs)

    @staticmethod
    def _make_numpy_array(tensor_value: object) -> NDArray[Any]:
        if isinstance(tensor_value, torch.Tensor) and tensor_value.dtype == torch.bfloat16:
            tensor_value = tensor_value.float()
        array: NDArray[Any] = SmdebugHook._make_numpy_array(tensor_value)
        return array
