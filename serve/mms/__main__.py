"""python -m serve.mms: start multi-model-server, stay until it leaves, and leave with its exit code.

In place of sagemaker-inference's start_model_server, which looks for MMS among all processes (and dies of a zombie there),
needs a writable /etc, and returns 0 whatever became of MMS.
"""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from artifact.machine import memory_limit
from artifact.model import ArtifactError, read_description
from artifact.unpack import artifact_folder
from serve.mms.configuration import PROPERTIES_FILE, command, properties
from serve.settings import ServingSettings, SettingsError

USAGE = 2
MODEL_UNUSABLE = 3
TERMINATED = 128 + signal.SIGTERM  # what Java answers SIGTERM with, once its last answer is given


def main() -> int:
    """Serve until SIGTERM; the exit code says why not."""
    try:
        settings = ServingSettings.read()
        if not settings.multi_model:
            settings = dataclasses.replace(settings, model=artifact_folder(settings.model))
            read_description(settings.model)  # a wrong folder is told at once, in one sentence
        folder = Path(tempfile.mkdtemp(prefix="mms-"))
    except SettingsError as error:
        return failed(f"serve: {error}", USAGE)
    except ArtifactError as error:
        return failed(f"serve: failed: {error}", MODEL_UNUSABLE)
    except OSError as error:
        return failed(
            f"serve: MMS needs a folder to write to ({error}); with --read-only give --tmpfs /tmp",
            USAGE,
        )
    try:
        memory = memory_limit()
        (folder / PROPERTIES_FILE).write_text(
            properties(settings, folder, memory), encoding="utf-8"
        )
        os.environ["TMPDIR"] = str(folder)  # what workers unpack goes with it
        return serve(
            command(settings, folder, memory, os.environ.get("SAGEMAKER_MODEL_SERVER_VMARGS", ""))
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve(arguments: list[str]) -> int:
    """Run MMS; SIGTERM and SIGINT are for it to answer. Its exit code, 0 for the end that was asked for."""
    process, stopping = None, False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        if process and process.returncode is None:
            os.kill(
                process.pid, signal.SIGTERM
            )  # not terminate(), which may wait for the process in place of wait() below

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    process = subprocess.Popen(arguments)
    if stopping:  # before there was a process to tell
        os.kill(process.pid, signal.SIGTERM)
    code = wait(process.pid)
    process.returncode = code  # waited for above: nobody must signal this id again
    if stopping and code == TERMINATED:
        return 0
    return failed(f"serve: MMS left with code {code}", code or 1)


def wait(pid: int) -> int:
    """The exit code of a child, 128 + the signal's number if killed. Reaps orphans meanwhile: a worker's become PID 1's."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def failed(sentence: str, code: int) -> int:
    """The code, once the sentence is told."""
    print(sentence, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
