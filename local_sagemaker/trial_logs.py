"""What a search's trainings print, from the files that tune writes it to into their own streams, as SageMaker has them: each training's in TrainingJobs."""

import time
from pathlib import Path

from local_sagemaker.logs import Logs, Stream


class TrialLogs:
    """The logs of one search's trainings. trials: the folder of their trees; region: of their streams."""

    def __init__(self, logs: Logs, trials: Path, region: str):
        self._logs, self._trials, self._region = logs, trials, region
        self._open: dict[str, Stream] = {}
        self._read: dict[str, int] = {}  # bytes of each file

    def take(self, name: str, ended: bool) -> None:
        """Send what is new of a training's output; ended: that was all."""
        file = self._trials / name / "output.log"
        try:
            size, start = file.stat().st_size, self._read.get(name, 0)
            with open(file, "rb") as text:
                text.seek(
                    start if size >= start else 0
                )  # shorter than before: the training was begun anew
                content = text.read()
        except FileNotFoundError:
            return
        whole = content if ended else content[: content.rfind(b"\n") + 1]
        self._read[name] = (start if size >= start else 0) + len(whole)
        if whole and name not in self._open:
            self._open[name] = self._logs.stream(
                "TrainingJobs", f"{name}/algo-1-{int(time.time())}", self._region
            )
        for line in whole.decode("utf-8", errors="replace").splitlines():
            self._open[name].line(line)
        if ended and name in self._open:
            self._open.pop(name).close()
