"""The servers of one target: started, asked, stopped.

A server that several clauses use runs once.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from conformance.clauses import Broken, Kept, NotApplicable, Outcome, Settled, Shared
from conformance.limits import ContractLimits
from conformance.server import Reply, Sample, Server
from conformance.targets import Image, Program, Sandbox
from conformance.trees import files_of

UNAVAILABLE = (502, 503, 504)  # statuses of a server that is not ready yet
MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"
MODEL_MOUNT = "/opt/ml/model"
OPEN = Sandbox()  # as open as the contract lets it be
SLOWER = 4  # a further start may take this many times as long as the plain server's


class Servings:
    """All servers of one target.

    work: an own folder; trained: returns the model to serve where the sample names none.
    """

    def __init__(
        self,
        target: Image | Program,
        sample: Sample,
        limits: ContractLimits,
        work: Path,
        trained: Callable[[], Path | None] = lambda: None,
    ):
        self.target = target
        self.sample = sample
        self.limits = limits
        self.work = work
        self.once = Shared(self)
        self._trained = trained
        self._lock = threading.Lock()
        self._count = 0  # of models that were copied
        self._running: list[AbstractContextManager[Server]] = []

    @property
    def source(self) -> Path | None:
        """The folder that models are copied from. It is never mounted itself."""
        return self.sample.model or self._trained()

    def model(self) -> Path:
        """A copy of the model that a server may change; an empty folder where no model is known."""
        source = self.source
        with self._lock:
            self._count += 1
            folder = self.work / f"ml-{self._count}" / "model"
        if source:
            shutil.copytree(source, folder)
        else:
            folder.mkdir(parents=True)
        # a server that runs without root must be able to read all of it
        for path in [folder.parent, folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return folder

    @contextmanager
    def started(
        self, model: Path, sandbox: Sandbox = OPEN, mount: str = MODEL_MOUNT
    ) -> Iterator[Server]:
        """A server that has been started. It is killed at the end of the block."""
        lines: list[str] = []
        before = files_of(model)
        instance = self.target.start("serve", model, sandbox, lines.append, mount)
        server = Server(self.target, instance, sandbox, lines, model, before)
        try:
            yield server
        finally:
            server.instance.kill()

    @contextmanager
    def ready(
        self,
        model: Path | None = None,
        sandbox: Sandbox = OPEN,
        mount: str = MODEL_MOUNT,
        seconds: float = 0,
    ) -> Iterator[Server]:
        """A server that answers /ping with 200. Settled as broken where it never does.

        seconds: how long to wait; 0 for the usual time of a further start.
        """
        self.once(plain)  # settles the clause where not even the plain server gets ready
        with self.started(model or self.model(), sandbox, mount) as server:
            if not server.wait_ready(seconds or self.again_s(), self.limits.ping_s):
                raise Settled(Broken(f"it did not get ready: {server.not_ready()}"))
            yield server

    def again_s(self) -> float:
        """How long a further start may take. It is short where the plain server took seconds."""
        return self._slower(self.limits.again_s)

    def broken_s(self) -> float:
        """How long a server whose model is unusable may take to say that it is ready.

        A server that starts slowly says so late, and must not count as honest until then.
        """
        return self._slower(self.limits.broken_s)

    def _slower(self, least_s: float) -> float:
        usual = SLOWER * (self.once(plain).ready_s or 0)
        return min(self.limits.start_s, max(least_s, usual))

    def keep(self, model: Path, sandbox: Sandbox = OPEN, mount: str = MODEL_MOUNT) -> Server:
        """A server that runs until close()."""
        context = self.started(model, sandbox, mount)
        server = context.__enter__()
        self._running.append(context)
        return server

    def close(self) -> None:
        """Kill the servers that were kept."""
        while self._running:
            self._running.pop().__exit__(None, None, None)

    def answers(self, server: Server, **headers: str) -> Outcome:
        """Whether a server answers the sample with 200, as the plain one does."""
        self.once(answer)
        return answered(self.asked(server, **headers))

    def asked(self, server: Server, path: str = "/invocations", **headers: str) -> Reply:
        """A server's answer to the sample.

        The sample is sent again while the server is not ready yet: the clause
        ready_means_ready alone judges that.
        """
        until = time.monotonic() + self.limits.recover_s
        while True:
            reply = server.invoke(
                self.sample.body, self.sample.content_type, self.limits.invoke_s, path, **headers
            )
            if reply.status not in UNAVAILABLE or time.monotonic() > until:
                return reply
            time.sleep(0.1)


def answered(reply: Reply) -> Outcome:
    """Kept where the sample was answered with 200."""
    if reply.status == 200:
        return Kept()
    return Broken(f"the sample got {reply.summary()}; without the clause's change it gets 200")


# What follows is made once for each target, by Servings.once.


def attempted(servings: Servings) -> Server:
    """The plain server, ready or not. Its sandbox is open and its model's folder writable."""
    server = servings.keep(servings.model())
    server.wait_ready(servings.limits.start_s, servings.limits.ping_s)
    return server


def plain(servings: Servings) -> Server:
    """The plain server, ready. Settled as not applicable where it does not get ready."""
    server = servings.once(attempted)
    if server.ready_s is None:
        why = (
            "the plain server does not get ready; see starts_with_serve and ready_within_8_minutes"
        )
        raise Settled(NotApplicable(why))
    return server


def fresh(servings: Servings) -> Server:
    """A server that was started while nothing else ran; the plain one started beside others."""
    servings.once(plain)
    server = servings.keep(servings.model())
    if not server.wait_ready(servings.again_s(), servings.limits.ping_s):
        raise Settled(Broken(f"it did not get ready: {server.not_ready()}"))
    return server


def first_answer(servings: Servings) -> Reply:
    """The plain server's first answer to the sample, asked for right after /ping said 200."""
    sample = servings.sample
    server = servings.once(plain)
    return server.invoke(sample.body, sample.content_type, servings.limits.invoke_s)


def any_answer(servings: Servings) -> Reply:
    """The plain server's answer to the sample, with any status."""
    first = servings.once(first_answer)
    if first.status in UNAVAILABLE:
        return servings.asked(servings.once(plain))
    return first


def answer(servings: Servings) -> Reply:
    """The plain server's answer to the sample. Settled as not applicable where it is not 200."""
    reply = servings.once(any_answer)
    if reply.status != 200:
        raise Settled(NotApplicable("the sample gets no 200; see answers_the_sample"))
    return reply
