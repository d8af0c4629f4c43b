"""The module that MMS loads in a worker with a user's own code: sagemaker-inference's Transformer.

model_fn, input_fn, predict_fn, output_fn or transform_fn are the user's; defaults.py stands for
those that are missing. A client gets an error's own words, and the log its traceback. The user's
modules may be named as our packages.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mms.context import RequestProcessor
from sagemaker_inference.transformer import Transformer

from artifact.engines.nvidia import settle_device
from artifact.model import ArtifactError
from artifact.text.log_lines import log_to
from artifact.text.names import printable
from serve.mms.call import Call, Reply
from serve.mms.defaults import TorchDefaults, use_threads
from serve.mms.exchange import artifact_of, write_failure
from serve.settings import ServingSettings
from serve.user_code import UserCode

if TYPE_CHECKING:
    from mms.context import Context

OWN = ("artifact", "serve", "web")  # our packages, whose names the user's modules may have
OK = 200
SHOWN = 500  # letters of an error
HANDED_BACK = ("content-type", "x-amzn-sagemaker-")

# MMS keeps nothing of what a worker writes to stdout
log_to(sys.stderr, logging.INFO)
log = logging.getLogger("user_code")


class UserTransformer(Transformer):  # type: ignore[misc]  # the library has no types
    """sagemaker-inference's, but that an error's traceback goes to the log."""

    @staticmethod
    def handle_error(context: Any, inference_exception: Any, trace: str) -> list[str]:
        """The words for the client; the status is set in the context."""
        log.error("%s", trace)
        context.set_response_status(code=inference_exception.status_code, phrase="")
        return [str(inference_exception.message)]


class Worker:
    """A user's model in this process, and its answers to MMS's requests."""

    def open(self, folder: Path, context: "Context") -> None:
        """Import the user's program and call its model_fn, with the model's folder.

        When that fails, MMS's folder gets the reason, and this worker ends.
        """
        try:
            model = artifact_of(folder)
            code = UserCode.read()
            assert code is not None, "the gateway starts these workers for a user's code alone"
            code.check(model)
            settings = ServingSettings.read()
            # where torch finds no GPU, the user's code would quietly take the processor
            settle_device(settings.device)
            use_threads(settings.threads)
            forget_own_modules()
            sys.path.insert(0, str(code.folder(model).resolve()))
            self._transformer = UserTransformer(TorchDefaults())
            context.system_properties["model_dir"] = str(model)
            self._transformer.validate_and_initialize(str(model), context)
        except Exception as error:  # any: it is the user's code
            log.exception("the model could not be opened")
            if not isinstance(error, ArtifactError | MemoryError):
                error = ArtifactError(f"{program()} could not open the model: {brief(error)}")
            write_failure(folder, error)
            _leave()
        except SystemExit as error:
            ended = f"{program()} ended with code {error.code} while it was imported"
            write_failure(folder, ArtifactError(ended))
            _leave()

    def answer(self, data: bytes, context: "Context") -> bytes:
        """The packed reply to a packed call."""
        call = Call.unpacked(data)
        asked = RequestProcessor(dict(call.headers))
        whole = context.request_processor
        context.request_processor = [asked]
        try:
            (answer,) = self._transformer.transform([{"body": call.body}], context)
            body = as_bytes(answer)
        except (Exception, SystemExit) as error:  # any: what output_fn gave is no body
            log.exception("the answer cannot be sent")
            return Reply(500, {}, error=f"{program()}: {brief(error)}").packed()
        finally:
            context.request_processor = whole
        status = asked.get_response_status_code()
        if status != OK:
            return Reply(
                status, {}, error=f"{program()}: {printable(str(answer)[:SHOWN])}"
            ).packed()
        headers = {
            name: str(value)
            for name, value in asked.get_response_headers().items()
            if name.lower().startswith(HANDED_BACK) and value
        }
        return Reply(OK, headers, body).packed()


def as_bytes(answer: object) -> bytes:
    """A body as MMS would send it. Raises TypeError for what is neither text, bytes nor JSON."""
    if isinstance(answer, bytes | bytearray):
        return bytes(answer)
    if isinstance(answer, str):
        return answer.encode()
    return json.dumps(answer).encode()


def brief(error: BaseException) -> str:
    """An error's type and words, in one line."""
    words = " ".join(str(error).split())[:SHOWN]
    return printable(f"{type(error).__name__}: {words}" if words else type(error).__name__)


def program() -> str:
    """The user's file, for sentences."""
    return printable(os.environ["SAGEMAKER_PROGRAM"])


def forget_own_modules() -> None:
    """Let `import serve` in the user's code find the user's own; what is loaded here stays."""
    for name in list(sys.modules):
        if name.partition(".")[0] in OWN:
            del sys.modules[name]


def _leave() -> NoReturn:
    """End this worker; MMS starts another."""
    os._exit(1)


worker = Worker()


def handle(data: list[dict[str, bytes]] | None, context: "Context") -> list[bytes] | None:
    """MMS's entry point: open the model, once, without data; then answer requests."""
    if data is None:
        worker.open(Path(context.system_properties["model_dir"]), context)
        return None
    return [worker.answer(bytes(request["body"]), context) for request in data]
