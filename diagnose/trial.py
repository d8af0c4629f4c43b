"""A training's saved tensors, read with smdebug's own trial, without its endless waits: what is missing or damaged is told or left out.

smdebug waits for ever for a collections file, for a step that never comes and 200 s for each missing event file. Here reading
never waits; who follows a training asks `refresh` again. Imports smdebug, and with it torch: load it late, within `quiet_smdebug`.
"""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
from smdebug.core.index_reader import LocalIndexReader
from smdebug.core.modes import ModeKeys
from smdebug.core.utils import get_worker_name_from_collection_file
from smdebug.exceptions import SMDebugError, TensorUnavailableForStep
from smdebug.trials.local_trial import LocalTrial
from smdebug.trials.trial import Trial

from diagnose.findings import DiagnoseError
from diagnose.records import decode

KEPT_FILES = 4  # event files held in memory: rules look at a step one after the other, and at the step before


class _Reader(LocalIndexReader):
    """Index and event files as they stand; damaged ones are left out and remembered."""

    def __init__(self, path: str):
        super().__init__(path)
        self.damaged: set[str] = set()
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def list_index_files(self) -> list[str]:
        return [
            file
            for file in super().list_index_files()
            if self.index_file_cache.has_not_read(file) and self._whole(file)
        ]

    def read_index_files(self, start_after_key, range_steps=None):
        return super().read_index_files(None, range_steps)  # the list holds new files only

    def _whole(self, file: str) -> bool:
        try:
            index = json.loads(Path(file).read_bytes())
            fine = ModeKeys[index["meta"]["mode"].strip()] and isinstance(
                index["meta"]["mode_step"], int
            )
            # shapes without tensors name no event file
            fine = fine and (
                not index.get("tensor_payload") or isinstance(index["meta"]["event_file_name"], str)
            )
            fine = fine and all(
                {"tensorname", "start_idx", "length"} <= set(entry)
                for entry in index.get("tensor_payload") or []
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            fine = False
        if not fine:
            self.damaged.add(file)
            return False
        self.damaged.discard(file)
        return True

    def fetch_tensor_value(self, tensor_location) -> np.ndarray:
        file = tensor_location.event_file_name
        start, length = int(tensor_location.start_idx), int(tensor_location.length)
        try:
            if file not in self._files:
                self._files[file] = Path(file).read_bytes()
                if len(self._files) > KEPT_FILES:
                    self._files.popitem(last=False)
            return decode(self._files[file][start : start + length])
        except Exception as error:  # a cut-off record can break anywhere in the decoder
            self.damaged.add(file)
            raise TensorUnavailableForStep(
                tensor_location.tensorname, tensor_location.mode_step
            ) from error


class JobTrial(LocalTrial):
    """smdebug's trial of one training's folder. DiagnoseError when the folder holds no readable collections or no step."""

    def __init__(self, folder: Path):
        Trial.__init__(self, folder.name)
        self.path = self.trial_dir = str(folder)
        self.index_reader = _Reader(self.path)
        self._load_collections()
        self.refresh()

    def _load_collections(self) -> None:
        files = self._get_collection_files()
        if not files:
            raise DiagnoseError(
                f"'{self.path}' holds no collections file: the training ended, or crashed, before its first step was saved"
            )
        try:
            self._read_collections(files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SMDebugError) as error:
            raise DiagnoseError(
                f"'{files[0]}' is damaged ({type(error).__name__}: {error}); train again with debug=true"
            ) from error
        self.num_workers = min(
            self.num_workers, len(files)
        )  # a worker that never wrote is not waited for
        self.worker_set = {get_worker_name_from_collection_file(file) for file in files}

    def refresh(self) -> list[int]:
        """Take in what was saved since; all complete steps, in order. Nothing else reads the folders for new steps."""
        self.refresh_data()
        self._complete = sorted(
            step
            for step, workers in self.workers_for_global_step.items()
            if len(workers) >= self.num_workers or self.loaded_all_steps
        )
        return self._complete

    def finish(self) -> list[int]:
        """The training has ended: all steps, those too that some worker never wrote."""
        self.loaded_all_steps = True
        self.refresh()
        self.last_complete_step = max(self._global_to_mode, default=-1)
        return self._complete

    def steps(self, mode=ModeKeys.GLOBAL, show_incomplete_steps=False) -> list[int]:
        """As smdebug's, of which the list of all complete steps costs their number at each call."""
        return (
            self._complete
            if mode == ModeKeys.GLOBAL and not show_incomplete_steps
            else super().steps(mode, show_incomplete_steps)
        )

    def maybe_refresh(self, name=None) -> None:
        """Only `refresh` reads: smdebug's own would sleep at the end of a training."""

    def wait_for_steps(self, required_steps, mode=ModeKeys.GLOBAL) -> None:
        """Nobody waits: rules are asked about steps that are there."""

    @property
    def damaged(self) -> list[str]:
        """Files that could not be read and were left out."""
        return sorted(str(Path(file).relative_to(self.path)) for file in self.index_reader.damaged)
