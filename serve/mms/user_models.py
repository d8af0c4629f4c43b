"""Models with a user's own code in workers of MMS, and what their requests get."""

import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response, jsonify, request

from serve.answering import ServingLimits
from serve.app import refusal
from serve.mms.backend import Mms, ModelLost
from serve.mms.call import Call, Reply, handed_on
from serve.mms.exchange import Done, no_memory
from serve.mms.remote import RemoteModel, RemoteModels
from serve.mms.remote_queue import RequestCost
from serve.mms.room import Room
from serve.openapi import document
from serve.request_state import KEY, RequestState
from serve.user_code import UserCode

OK = 200
TORCH_BYTES = 400 * 1024 * 1024  # of a worker, before its model
# A file of weights is read, and then copied into the network.
FILES_TO_MEMORY = 2.0


class RemoteProgram(RemoteModel):
    """A model whose requests the user's own code answers."""

    def call(self, asked: Call, state: RequestState) -> Reply:
        """The code's reply. Raises Overloaded, ClientGone, EngineDead, InputError 507."""
        cost = RequestCost(0.0)
        self.batcher.admit(1, state, self.batcher.slots.expected([cost]))
        started = time.monotonic()
        try:
            data = self.sent(lambda _: asked.packed(), len(asked.body), cost, state)
        except MemoryError as error:
            raise no_memory(error) from error
        except ModelLost:
            self.lost()
            raise
        finally:
            self.batcher.settle(1)
        self.batcher.learn(1, cost, Done([], {}, time.monotonic() - started))
        return Reply.unpacked(data)


class UserModels(RemoteModels):
    """Models of a multi-model server, each with code of its own beside it."""

    process_bytes = TORCH_BYTES

    def needed_bytes(self, folder: Path) -> int:
        """About how much memory a model takes, by the sizes of its files."""
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return int(sum(sizes) * FILES_TO_MEMORY)

    def _made(
        self, folder: Path, mms: Mms, name: str, bodies: Room, died: Callable[[], None]
    ) -> RemoteModel:
        """Raises ArtifactError."""
        code = UserCode.read()
        assert code is not None, "the server has made these models for a user's code alone"
        code.check(folder)
        return RemoteProgram(folder, mms, name, 1, bodies, died)


def call_answered(program: RemoteProgram, limits: ServingLimits) -> Response:
    """What the user's code answers to the current request."""
    asked = Call(handed_on(dict(request.headers)), request.get_data(cache=False))
    # the gateway puts the state there; a test client does not
    state = request.environ.get(KEY) or RequestState.lasting(limits.timeout_s)
    reply = program.call(asked, state)
    if reply.status != OK:
        return refusal(reply.status, reply.error)
    return Response(reply.body, headers=dict(reply.headers))


def describe_calls(app: Flask, multi_model: bool, limits: ServingLimits) -> None:
    """Say in /openapi.json that the user's code decides what a request is."""
    offered = document(multi_model, limits.max_payload_mb)
    for path, methods in offered["paths"].items():
        if path.endswith(("/invoke", "/invocations")):
            methods["post"] = {
                "summary": "What the user's own code takes and answers",
                "responses": {"200": {"description": "Its answer"}},
            }
    app.view_functions["description"] = lambda: jsonify(offered)
