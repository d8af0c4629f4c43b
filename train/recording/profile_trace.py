"""torch.profiler's trace of a window of training steps."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.profiler import profile as torch_profile

log = logging.getLogger(__name__)


class TraceWindow:
    """Traces the steps from the first to the last of `steps`; nothing when it is None.

    It writes a Chrome trace, and beside it the time of each operator.
    """

    def __init__(self, folder: Path, worker: str, steps: tuple[int, int] | None):
        self._folder = folder / "framework" / "pytorch" / "detailed_profiling"
        self._worker = worker
        self._steps = steps
        self._trace: torch_profile | None = None

    def before_step(self, number: int) -> None:
        """Start the trace before its first step, end it after its last."""
        if self._steps is None:
            return
        first, last = self._steps
        if number == first and self._trace is None:
            from torch.profiler import profile as torch_profile

            self._trace = torch_profile(acc_events=True)  # else torch warns, of more windows
            self._trace.start()
        elif number == last + 1:
            self.end()

    def end(self) -> None:
        """End the trace, if one runs, and write it. A disk that fails is a warning."""
        if self._trace is None or self._steps is None:
            return
        trace = self._trace
        self._trace = None
        trace.stop()
        first, last = self._steps
        path = self._folder / f"{self._worker}_steps_{first}_{last}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            trace.export_chrome_trace(f"{path}.trace.json.gz")
            rows = [
                {
                    "name": entry.key,
                    "count": entry.count,
                    "cpu_us": round(entry.self_cpu_time_total),
                    "gpu_us": round(entry.self_device_time_total),
                }
                for entry in trace.key_averages()
            ]
            Path(f"{path}.operators.json").write_text(json.dumps(rows), encoding="utf-8")
        except OSError as error:
            log.warning("profile: the trace could not be written to '%s': %s", self._folder, error)
