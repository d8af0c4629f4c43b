"""python -m serve.mms: start multi-model-server (MMS), and leave with its exit code.

It replaces sagemaker-inference's start_model_server, which searches all processes for MMS (and
fails on a zombie), needs a writable /etc, and returns 0 however MMS ended.
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
TERMINATED = 128 + signal.SIGTERM  # Java's exit code after SIGTERM, once its last answer is given


def main() -> int:
    """Serve until SIGTERM. The exit code: MMS's, or USAGE or MODEL_UNUSABLE after one sentence."""
    try:
        settings = ServingSettings.read()
        if not settings.multi_model:
            settings = dataclasses.replace(settings, model=artifact_folder(settings.model))
            read_description(settings.model)  # a wrong folder fails here, early, in one sentence
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
        os.environ["TMPDIR"] = str(folder)  # archives that the workers unpack are removed with it
        vmargs = os.environ.get("SAGEMAKER_MODEL_SERVER_VMARGS", "")
        return serve(command(settings, folder, memory, vmargs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve(arguments: list[str]) -> int:
    """Run MMS and pass SIGTERM and SIGINT on to it as SIGTERM.

    Its exit code; 0 when it ended because of such a signal.
    """
    process: subprocess.Popen[bytes] | None = None
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        if process and process.returncode is None:
            # not terminate(): that may wait for the process, which is wait()'s part
            os.kill(process.pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    process = subprocess.Popen(arguments)
    if stopping:  # the signal came before there was a process
        os.kill(process.pid, signal.SIGTERM)
    code = wait(process.pid)
    process.returncode = code  # the process is gone: nothing must signal its id again
    if stopping and code == TERMINATED:
        return 0
    return failed(f"serve: MMS left with code {code}", code or 1)


def wait(pid: int) -> int:
    """The exit code of a child, or 128 + the number of the signal that killed it.

    Meanwhile it reaps orphans, which a worker leaves to PID 1.
    """
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def failed(sentence: str, code: int) -> int:
    """Print the sentence; the code."""
    print(sentence, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
