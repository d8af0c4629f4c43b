"""The output of a search's trainings, from tune's files to log streams.

As on SageMaker, each training has its own stream in the group TrainingJobs.
"""

import io
import time
from pathlib import Path

from local_sagemaker.logs import Logs, Stream
from runtime import job_tree


class TrialLogs:
    """The logs of one search's trainings. trials: the folder of their trees; region: of streams."""

    def __init__(self, logs: Logs, trials: Path, region: str) -> None:
        self._logs = logs
        self._trials = trials
        self._region = region
        self._open: dict[str, Stream] = {}
        self._read: dict[str, int] = {}  # bytes of each file that were sent

    def take(self, name: str, ended: bool) -> None:
        """Send what is new of a training's output; ended: the training prints no more."""
        start = self._read.get(name, 0)
        try:
            with job_tree.open_inside(self._trials / name, "output.log") as text:
                if text.seek(0, io.SEEK_END) < start:  # the training was begun anew
                    start = 0
                text.seek(start)
                content = text.read()
        except OSError:  # none yet, or one that the container put in its place
            return
        if not ended:  # the last line may still grow
            content = content[: content.rfind(b"\n") + 1]
        self._read[name] = start + len(content)
        if content and name not in self._open:
            stream = f"{name}/algo-1-{int(time.time())}"
            self._open[name] = self._logs.stream("TrainingJobs", stream, self._region)
        for line in content.decode("utf-8", errors="replace").splitlines():
            self._open[name].line(line)
        if ended and name in self._open:
            self._open.pop(name).close()
