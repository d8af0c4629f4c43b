"""python -m local_sagemaker.tuning.trial JOB ROOT: a trial of `tune` as a training job.

JOB is the tuning job's name. ROOT is the trial's tree, named after it; its hyperparameters lie in
input/config. The server is the one that the environment names. It prints the training's lines, and
ends with 1 where the training failed; output/failure then has the reason. SIGTERM stops the
training.
"""

import json
import os
import signal
import sys
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from artifact.text.json_text import read_json
from local_sagemaker.access.own_requests import open_answer
from local_sagemaker.job_ends import CLOSING
from local_sagemaker.record import Record

FAILED = 1
USAGE = 2
ARGUMENTS = 2
LEAVE_S = 200.0  # for the SIGTERM that follows where the server ends: longer than its own end takes
STOP_TRAINING = {"X-Amz-Target": "SageMaker.StopTrainingJob"}


class Trial:
    """One trial as it runs. job: the tuning job's name; root: the trial's tree."""

    def __init__(self, job: str, root: Path) -> None:
        self._job = job
        self._root = root
        self._stopped = threading.Event()

    def run(self) -> int:
        """The exit code."""
        try:
            for event in self._events():
                if "line" in event:
                    print(event["line"], flush=True)
                else:
                    return self._end(event["status"], event["reason"])
        except urllib.error.HTTPError as error:
            return self._fail(read_json(error.read())["message"])
        except OSError as error:
            return self._leave(f"the connection to local SageMaker ended: {error}")
        return self._leave("local SageMaker ended while the training ran")

    def stop(self, *_: object) -> None:
        """Ask for the training's end; a signal's handler."""
        if not self._stopped.is_set():
            self._stopped.set()
            # Aside: a server that is ending itself does not answer any more.
            threading.Thread(target=self._ask_to_stop, daemon=True).start()

    def _events(self) -> Iterator[Record]:
        given = (self._root / "input" / "config" / "hyperparameters.json").read_bytes()
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        body = {
            "name": self._root.name,
            "hyperparameters": read_json(given),
            # The worker's share of the machine.
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "gpu": gpu if gpu.isdigit() else "",
        }
        path = f"/local/tuning-jobs/{self._job}/trials"
        # A training of this name that a killed worker left is stopped before this one begins.
        timeout_s = LEAVE_S
        with open_answer("POST", path, json.dumps(body).encode(), timeout_s=timeout_s) as answer:
            for line in answer:
                if line.strip():
                    event: Record = read_json(line)
                    yield event

    def _ask_to_stop(self) -> None:
        body = json.dumps({"TrainingJobName": self._root.name}).encode()
        with suppress(OSError):  # it has ended, or the server ends
            open_answer("POST", "/", body, STOP_TRAINING).close()

    def _end(self, status: str, reason: str) -> int:
        if status == CLOSING:
            return self._leave("local SageMaker ended while the training ran")
        if status == "Failed":
            return self._fail(reason)
        return 0

    def _leave(self, reason: str) -> int:
        """The server ends, and will have this trial done again: `tune` is told to end, too."""
        if self._stopped.wait(LEAVE_S):
            return 0
        return self._fail(reason)

    def _fail(self, reason: str) -> int:
        (self._root / "output").mkdir(exist_ok=True)
        (self._root / "output" / "failure").write_text(reason, encoding="utf-8")
        return FAILED


def main(arguments: list[str]) -> int:
    """Run the trial; its exit code."""
    if len(arguments) != ARGUMENTS:
        print(__doc__)
        return USAGE
    trial = Trial(arguments[0], Path(arguments[1]))
    signal.signal(signal.SIGTERM, trial.stop)
    return trial.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
