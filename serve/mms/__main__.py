"""python -m serve.mms: start multi-model-server (MMS) and the server in front of it.

It replaces sagemaker-inference's start_model_server, which searches all processes for MMS (and
fails on a zombie), needs a writable /etc, and returns 0 however MMS ended.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import asyncio
import dataclasses
import importlib.util
import os
import signal
import sys
import tempfile
from pathlib import Path

from artifact.archives.unpack import artifact_folder
from artifact.host.listening import PortTaken, check_free
from artifact.host.machine import memory_limit
from artifact.model import ArtifactError, read_description
from artifact.text.log_lines import log_to
from artifact.text.names import escape_output, printable
from serve.help import answer_help
from serve.mms.configuration import (
    MODEL_NAME,
    PROPERTIES_FILE,
    check_folder,
    command,
    properties,
)
from serve.mms.exchange import hand_over
from serve.mms.gateway import handler, listen, make_server
from serve.mms.process import Process
from serve.mms.remote import opening_error
from serve.settings import PORT_OPTION, ServingSettings, SettingsError
from serve.temporary import keep_in_one_folder
from serve.user_code import UserCode, say_ignored

USAGE = 2
MODEL_UNUSABLE = 3


def main() -> int:
    """Serve until SIGTERM. The exit code: MMS's, or USAGE or MODEL_UNUSABLE after one sentence."""
    escape_output()
    answer_help("serve.mms", __doc__ or "")
    log_to(sys.stdout, form="%(asctime)s %(message)s")
    try:
        settings = ServingSettings.read()
        code = code_to_run()
        check_free(settings.host, settings.port, PORT_OPTION)
        keep_in_one_folder()
        folder = Path(tempfile.mkdtemp(prefix="mms-"))
        check_folder(folder)
        # the workers' files, too, lie in the one folder
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        if not settings.multi_model:
            model = artifact_folder(settings.model, settings.archive_bounds)
            settings = dataclasses.replace(settings, model=model)
            check_model(model, code)  # a wrong folder fails here, early, in one sentence
        return serve(settings, folder, code is not None)
    except (SettingsError, PortTaken) as error:
        return failed(f"serve: {error}", USAGE)
    except (ArtifactError, MemoryError) as error:
        return failed(f"serve: failed: {error}", MODEL_UNUSABLE)
    except OSError as error:
        return failed(
            f"serve: MMS needs a folder to write to ({error}); with --read-only give --tmpfs /tmp",
            USAGE,
        )


def code_to_run() -> UserCode | None:
    """The user's own code; None where none is asked for, and in an image without torch."""
    if importlib.util.find_spec("torch"):
        return UserCode.read()
    say_ignored()
    return None


def check_model(model: Path, code: UserCode | None) -> None:
    """Raise ArtifactError for a folder that holds no artifact, or not the code to run."""
    if code:
        code.check(model)
    else:
        read_description(model)


def serve(settings: ServingSettings, folder: Path, user_code: bool) -> int:
    """Run MMS and the server in front of it until a signal, or until MMS ends; the exit code.

    folder: a private one. user_code: answer by the user's own code. Raises OSError.
    """
    stops: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stops.append(number))
    own = None
    if not settings.multi_model:
        own = folder / MODEL_NAME
        hand_over(own, settings.model)
    text = properties(settings, folder, own, handler(user_code))
    (folder / PROPERTIES_FILE).write_text(text, encoding="utf-8")
    vmargs = os.environ.get("SAGEMAKER_MODEL_SERVER_VMARGS", "")
    server = make_server(settings, folder, user_code)

    def leave() -> None:
        server.should_exit = True

    try:
        listener = listen(settings)
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        return failed(f"serve: cannot listen at {place}: {error}; choose another port", USAGE)
    with listener:
        mms = Process(command(settings, folder, memory_limit(), vmargs), leave)
        server.should_exit = bool(stops)  # a signal that came before uvicorn listens to them
        asyncio.run(server.serve(sockets=[listener]))
    return _left(mms, own)


def _left(mms: Process, own: Path | None) -> int:
    """The exit code when the server has ended: 0 unless MMS ended first."""
    if mms.code is None:
        mms.end()
        return 0
    if mms.code == MODEL_UNUSABLE and own:
        raise opening_error(own, f"MMS left with code {mms.code}")
    return failed(f"serve: MMS left with code {mms.code}", mms.code or 1)


def failed(sentence: str, code: int) -> int:
    """Print the sentence; the code."""
    print(printable(sentence), file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
