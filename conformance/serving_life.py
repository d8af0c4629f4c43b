"""Clauses on a server's life: its model folder, lasting load, a dead worker, SIGTERM, its log."""

import base64
import itertools
import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.limits import KILLED
from conformance.server import Server
from conformance.serving_requests import NOTHING
from conformance.servings import Servings, answer, any_answer, fresh, plain
from conformance.targets import Sandbox
from conformance.trees import changed, files_of
from conformance.under_way import half_sent
from runtime.load import Request, each, load
from runtime.watched import sample_of

UNDER_WAY = 4  # requests at a SIGTERM
GOOD_ANSWERS = 4  # in a row, before a server counts as recovered
MARK = b"conformance-payload-7f3a91c2"
FOREIGN_FILES = {
    ".ipynb_checkpoints/model-checkpoint.json": b"{}",
    "code/inference.py": b"raise SystemExit('not to be run')\n",
    # without a package: AWS's toolkits install what it names
    "code/requirements.txt": b"# none\n",
    "._model.json": b"\0\5\x16\7",  # AppleDouble, as macOS's tar writes it
    ".DS_Store": b"\0\0\0\1Bud1",
    "README.md": b"# how this model came about\n",
    "lost+found/x": b"",
}


@clause(SERVING)
def model_folder_is_left_alone(servings: Servings) -> Outcome:
    """The server writes nothing into /opt/ml/model: no caches, no bytecode, no packages.

    Source: developer guide, "How SageMaker loads your model artifacts": containers have read-only
        access to /opt/ml/model
    Fix: write caches to /tmp; set PYTHONDONTWRITEBYTECODE=1
    """
    servings.once(answer)
    server = servings.once(plain)
    written = changed(server.files_before, files_of(server.model))
    if not written:
        return Kept(f"{len(server.files_before)} files")
    if len(written) == 1:
        return Broken(f"it wrote '{written[0]}'")
    return Broken(f"it wrote '{written[0]}' and {len(written) - 1} more")


@clause(SERVING)
def read_only_model_folder(servings: Servings) -> Outcome:
    """The server works with a model folder that it can read but not write.

    Source: developer guide, "How SageMaker loads your model artifacts": containers have read-only
        access to /opt/ml/model
    Fix: write caches to /tmp, and install a model's requirements when the image is built
    """
    servings.once(answer)
    with servings.ready(sandbox=Sandbox(read_only=(".",))) as server:
        return servings.answers(server)


@clause(SERVING)
def foreign_files_in_the_model_folder(servings: Servings) -> Outcome:
    """Foreign files beside the model (code/, .ipynb_checkpoints, .DS_Store) are ignored.

    Source: developer guide, "How SageMaker loads your model artifacts": the whole archive is
        unpacked; the SDK's repack puts code/ in it
    Fix: open the model by its name, and ignore all other files
    """
    servings.once(answer)
    model = servings.model()
    for name, content in FOREIGN_FILES.items():
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes(content)
    with servings.ready(model) as server:
        return servings.answers(server)


@clause(SERVING)
def sigterm_within_30_s(servings: Servings) -> Outcome:
    """After SIGTERM an idle server ends by itself. SageMaker kills it 30 s later.

    Source: developer guide, "Use your own inference code with hosting services": SIGTERM, then
        SIGKILL 30 seconds later
    Fix: exec the server so that it is process 1, and let SIGTERM end it
    """
    _lines, code, seconds = servings.once(stopped)
    if code in (None, KILLED):
        return Broken(f"it had to be killed after {seconds:.0f} s")
    return Kept(f"{seconds:.1f} s, code {code}")


@clause(SERVING)
def sigterm_answers_what_is_under_way(servings: Servings) -> Outcome:
    """Requests that were accepted before SIGTERM are answered before the server ends, even those
    whose bodies are still arriving.

    Source: developer guide, "Use your own inference code with hosting services": SIGTERM, then
        SIGKILL 30 seconds later
    Fix: on SIGTERM stop accepting, answer the accepted requests, then end; the first process must
        end last
    """
    servings.once(answer)
    with servings.ready() as server, ThreadPoolExecutor(UNDER_WAY + 1) as pool:
        # the very first answer is not judged here: ready_means_ready does that
        servings.asked(server)
        accepted = half_sent(server, servings.sample, UNDER_WAY)
        # half of the requests are worked on at the signal, the others are still being read
        worked_on = accepted[::2]
        still_read = accepted[1::2]
        answers: list[Future[str]] = []
        try:
            answers += [pool.submit(request.finish) for request in worked_on]
            server.instance.terminate()
            answers += [pool.submit(request.finish) for request in still_read]
            pool.submit(server.leave, servings.limits.serve_stop_s)
            statuses = [future.result() for future in answers]
        finally:
            for request in accepted:
                request.client.close()
    lost = [status for status in statuses if status != "200"]
    if lost:
        return Broken(f"{len(lost)} of {len(statuses)} requests got no 200: {lost[0]}")
    return Kept(f"{len(statuses)} requests were under way")


@clause(SERVING)
def restarts_crashed_workers(servings: Servings) -> Outcome:
    """After a worker process has died, it is replaced and requests are answered again. Or the
    server ends, and the platform starts it again.

    Source: amazon-sagemaker-examples issues 3148 and 3407: workers killed for lack of memory;
        MMS's example ends with tail -f /dev/null
    Fix: watch the workers; replace a dead one, or end with it; never keep the container up by
        tail -f
    """
    servings.once(answer)
    with servings.ready() as server:
        workers = server.pids()[1:]
        if not workers:
            return NotApplicable("the server is one process, and ends with it")
        try:
            os.kill(workers[-1], signal.SIGKILL)
        except PermissionError:
            return NotApplicable("only root can kill a container's process")
        began = time.monotonic()
        while time.monotonic() < began + servings.limits.recover_s:
            if server.instance.code() is not None:
                return Kept("the server ended")
            if _recovered(servings, server, workers):
                return Kept(f"{time.monotonic() - began:.1f} s")
            time.sleep(0.1)
        left = len(server.pids()) - 1
        negation = "" if _answers(servings, server) else "not "
        return Broken(
            f"{servings.limits.recover_s:.0f} s after a worker was killed there are {left} of "
            f"{len(workers)} workers, and the sample is {negation}answered"
        )


@clause(SERVING, alone=True)
def memory_is_flat(servings: Servings) -> Outcome:
    """Memory does not grow with the number of requests: after 2,000 more it is at most 10% above
    the memory of the warm server.

    Source: multi-model-server issues 831, 967 and 974: memory that is not released
    Fix: find what each request leaves behind, such as growing lists and temporary files; or
        restart workers after a number of requests
    """
    servings.once(answer)
    limits = servings.limits
    warm_up = limits.flat_requests // 2
    server = servings.once(fresh)
    done = _ask_often(servings, server, warm_up)
    more = 0
    try:
        warm = sample_of(server.pids()).bytes
        # a server too slow to be warmed up is not asked for as long again
        if done == warm_up:
            more = _ask_often(servings, server, limits.flat_requests)
        growth = sample_of(server.pids()).bytes - warm
    except PermissionError:
        return NotApplicable("only root can see the memory of a container's processes")
    if done + more < warm_up + limits.flat_requests:
        return NotApplicable(f"only {done + more} requests were answered in {limits.flat_s:g} s")
    seen = f"{warm / 1e6:.0f} MB, {growth / 1e6:+.1f} MB after {limits.flat_requests} more"
    if growth > max(limits.growth * warm, limits.growth_bytes):
        return Broken(seen)
    return Kept(seen)


@clause(SERVING)
def log_is_free_of_payloads(servings: Servings) -> Outcome:
    """The log contains no request bodies, neither as text nor in base64, readable or not.

    Source: developer guide, "Log Amazon SageMaker events with Amazon CloudWatch": stdout and
        stderr are kept there
    Fix: log sizes and types, not bodies, in errors too
    """
    servings.once(answer)
    lines, _code, _seconds = servings.once(stopped)
    marks = [MARK.decode()]
    # base64 has three forms of the same text, by its place in the body; its ends depend on the
    # neighbours, so they are cut off
    marks += [base64.b64encode(b" " * shift + MARK)[4:-4].decode() for shift in range(3)]
    for line in lines:
        if any(mark in line for mark in marks):
            return Broken(f"it logged {line[:160]!r}")
    return Kept(f"{len(lines)} lines")


def stopped(servings: Servings) -> tuple[list[str], int | None, float]:
    """An idle server that got marked bodies, and then SIGTERM.

    Returns its log, its exit code, and the seconds from SIGTERM to its end.
    """
    sample = servings.sample
    bodies: tuple[bytes, ...] = ()
    if servings.once(any_answer).status == 200:
        bodies = (sample.body + MARK * 20, MARK * 20, NOTHING + MARK)
    with servings.ready() as server:
        for body in bodies:
            server.invoke(body, sample.content_type, servings.limits.invoke_s)
        code, seconds = server.stop(servings.limits.serve_stop_s)
        return server.lines, code, seconds


def _recovered(servings: Servings, server: Server, workers: list[int]) -> bool:
    """Whether the killed worker, the last one, is gone and replaced, and the sample answered."""
    for _ in range(GOOD_ANSWERS):
        if workers[-1] in server.pids() or not _answers(servings, server):
            return False
    return len(server.pids()) > len(workers)


def _answers(servings: Servings, server: Server) -> bool:
    """Whether the sample gets 200 soon."""
    sample = servings.sample
    reply = server.invoke(sample.body, sample.content_type, servings.limits.ping_s * 5)
    return reply.status == 200


def _ask_often(servings: Servings, server: Server, count: int) -> int:
    """Send the sample `count` times, as far as the time allows. Returns the number of 200s."""
    until = time.monotonic() + servings.limits.flat_s
    next_sample = each(itertools.repeat(servings.sample.request(), count))

    def next_request() -> Request | None:
        if time.monotonic() < until:
            return next_sample()
        return None

    done = load(server.address, next_request, servings.limits.connections)
    return done.statuses.get(200, 0)
