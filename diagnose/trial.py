"""A training's saved tensors, read with smdebug's own trial, but without its endless waits.

smdebug waits for ever for a collections file and for a step that never comes, and 200 s for each
missing event file. Here reading never waits, and damaged files are left out; `refresh` takes in
new steps. Imports smdebug, and torch with it: load it late, within `load_smdebug`.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from smdebug.core.index_reader import LocalIndexReader
from smdebug.core.modes import ModeKeys
from smdebug.core.utils import get_worker_name_from_collection_file
from smdebug.exceptions import SMDebugError, TensorUnavailableForStep
from smdebug.trials.local_trial import LocalTrial
from smdebug.trials.trial import Trial

from artifact.text.json_text import read_json
from diagnose.findings import DiagnoseError
from diagnose.records import decode

KEPT_FILES = 4  # event files in memory: rules look at one step after the other, and the one before
INDEX_KEYS = {"tensorname", "start_idx", "length"}  # of each tensor in an index file


class _Reader(LocalIndexReader):  # type: ignore[misc]  # smdebug has no types
    """Index and event files as they stand; damaged ones are left out and remembered."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.damaged: set[str] = set()
        self._files: OrderedDict[str, bytes] = OrderedDict()  # the oldest first

    def list_index_files(self) -> list[str]:
        """The index files that were not read yet and are whole."""
        new = [
            file for file in super().list_index_files() if self.index_file_cache.has_not_read(file)
        ]
        return [file for file in new if self._is_whole(file)]

    def read_index_files(self, start_after_key: Any, range_steps: Any = None) -> Any:
        """As smdebug's; start_after_key is not needed, as the list holds new files only."""
        return super().read_index_files(None, range_steps)

    def fetch_tensor_value(self, tensor_location: Any) -> NDArray[Any]:
        """The array at a place in an event file. TensorUnavailableForStep where it is damaged."""
        file = tensor_location.event_file_name
        start = int(tensor_location.start_idx)
        end = start + int(tensor_location.length)
        try:
            return decode(self._read(file)[start:end])
        except Exception as error:  # a cut-off record can break anywhere in the decoder
            self.damaged.add(file)
            raise TensorUnavailableForStep(
                tensor_location.tensorname, tensor_location.mode_step
            ) from error

    def _read(self, file: str) -> bytes:
        if file not in self._files:
            self._files[file] = Path(file).read_bytes()
            if len(self._files) > KEPT_FILES:
                self._files.popitem(last=False)
        return self._files[file]

    def _is_whole(self, file: str) -> bool:
        try:
            whole = _is_index(read_json(Path(file).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if whole:
            self.damaged.discard(file)
        else:
            self.damaged.add(file)
        return whole


def _is_index(index: Any) -> bool:
    """Whether JSON has what smdebug reads of an index file. KeyError and others where it lacks."""
    meta = index["meta"]
    tensors = index.get("tensor_payload") or []
    if not ModeKeys[meta["mode"].strip()] or not isinstance(meta["mode_step"], int):
        return False
    # an index of shapes alone, without tensors, names no event file
    if tensors and not isinstance(meta["event_file_name"], str):
        return False
    return all(set(entry) >= INDEX_KEYS for entry in tensors)


class JobTrial(LocalTrial):  # type: ignore[misc]  # smdebug has no types
    """smdebug's trial of one training's folder.

    DiagnoseError when the folder holds no readable collections or no step.
    """

    path: str
    loaded_all_steps: bool
    num_workers: int

    def __init__(self, folder: Path) -> None:
        # LocalTrial's own would wait for files
        Trial.__init__(self, folder.name)
        self.path = str(folder)
        self.trial_dir = self.path
        self.index_reader = _Reader(self.path)
        self._complete: list[int] = []  # steps that all workers have written
        self._load_collections()
        self.refresh()

    def _load_collections(self) -> None:
        files = self._get_collection_files()
        if not files:
            raise DiagnoseError(
                f"'{self.path}' holds no collections file: "
                "the training ended, or crashed, before its first step was saved"
            )
        try:
            self._read_collections(files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SMDebugError) as error:
            raise DiagnoseError(
                f"'{files[0]}' is damaged ({type(error).__name__}: {error}); "
                "train again with debug=true"
            ) from error
        # a worker that never wrote is not waited for
        self.num_workers = min(self.num_workers, len(files))
        self.worker_set = {get_worker_name_from_collection_file(file) for file in files}

    def refresh(self) -> list[int]:
        """Take in newly saved steps; all complete steps, in order.

        Nothing else reads the folders for new steps.
        """
        self.refresh_data()
        self._complete = sorted(
            step
            for step, workers in self.workers_for_global_step.items()
            if len(workers) >= self.num_workers or self.loaded_all_steps
        )
        return self._complete

    def finish(self) -> list[int]:
        """The training has ended: all steps, also those that some worker never wrote."""
        self.loaded_all_steps = True
        self.refresh()
        self.last_complete_step = max(self._global_to_mode, default=-1)
        return self._complete

    def steps(
        self, mode: ModeKeys = ModeKeys.GLOBAL, show_incomplete_steps: bool = False
    ) -> list[int]:
        """As smdebug's, which takes longer with each step to list all complete ones."""
        if mode == ModeKeys.GLOBAL and not show_incomplete_steps:
            return self._complete
        steps: list[int] = super().steps(mode, show_incomplete_steps)
        return steps

    def maybe_refresh(self, name: Any = None) -> None:
        """Only `refresh` reads: smdebug's own would sleep at the end of a training."""

    def wait_for_steps(self, required_steps: Any, mode: ModeKeys = ModeKeys.GLOBAL) -> None:
        """Do not wait: rules see only steps that are there."""

    @property
    def damaged(self) -> list[str]:
        """Files that could not be read and were left out, relative to the folder."""
        return sorted(str(Path(file).relative_to(self.path)) for file in self.index_reader.damaged)
