"""The output of a search's trainings, from tune's files to log streams.

As on SageMaker, each training has its own stream in the group TrainingJobs.
"""

import time
from pathlib import Path

from local_sagemaker.logs import Logs, Stream


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
        file = self._trials / name / "output.log"
        start = self._read.get(name, 0)
        try:
            if file.stat().st_size < start:  # the training was begun anew
                start = 0
            with open(file, "rb") as text:
                text.seek(start)
                content = text.read()
        except FileNotFoundError:
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
