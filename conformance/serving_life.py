"""Clauses on a server's life: its model folder, load that lasts, a worker that dies, SIGTERM, and what it logs."""

import base64
import itertools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.serving_requests import NOTHING
from conformance.servings import Server, Servings, answer, any_answer, fresh, plain
from conformance.targets import Sandbox
from conformance.trainings import KILLED, listed
from conformance.under_way import half_sent
from runtime.load import each, load
from runtime.watched import sample_of

UNDER_WAY = 4  # requests at a SIGTERM
MARK = b"conformance-payload-7f3a91c2"
FOREIGN_FILES = {
    ".ipynb_checkpoints/model-checkpoint.json": b"{}",
    "code/inference.py": b"raise SystemExit('not to be run')\n",
    "code/requirements.txt": b"nothing==0\n",
    "._model.json": b"\0\5\x16\7",
    ".DS_Store": b"\0\0\0\1Bud1",
    "README.md": b"# how this model came about\n",
    "lost+found/x": b"",
}


@clause(SERVING)
def model_folder_is_left_alone(servings: Servings) -> Outcome:
    """Nothing is written into /opt/ml/model: no caches, no bytecode, nothing installed.

    Source: developer guide, "How SageMaker loads your model artifacts": containers have read-only access to /opt/ml/model
    Fix: write caches to /tmp; PYTHONDONTWRITEBYTECODE=1
    """
    servings.once(answer)
    server = servings.once(plain)
    before, after = server.found, listed(server.model)
    changed = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    return (
        Broken(
            f"it wrote '{changed[0]}'" + (f" and {len(changed) - 1} more" if changed[1:] else "")
        )
        if changed
        else Kept(f"{len(before)} files")
    )


@clause(SERVING)
def read_only_model_folder(servings: Servings) -> Outcome:
    """A model folder that cannot be written is enough.

    Source: developer guide, "How SageMaker loads your model artifacts": containers have read-only access to /opt/ml/model
    Fix: write caches to /tmp, and install a model's requirements when the image is built
    """
    servings.once(answer)
    with servings.ready(sandbox=Sandbox(read_only=(".",))) as server:
        return servings.answers(server)


@clause(SERVING)
def foreign_files_in_the_model_folder(servings: Servings) -> Outcome:
    """Files beside the model that belong to others (code/, .ipynb_checkpoints, .DS_Store) are passed over.

    Source: developer guide, "How SageMaker loads your model artifacts": the whole archive is unpacked; the SDK's repack puts code/ in it
    Fix: open the model by its name, and pass over all else
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
    """At SIGTERM an idle server ends by itself; 30 s later it is killed.

    Source: developer guide, "Use your own inference code with hosting services": SIGTERM, then SIGKILL 30 seconds later
    Fix: exec the server so that it is process 1, and let SIGTERM end it
    """
    _, code, seconds = servings.once(stopped)
    return (
        Broken(f"it had to be killed after {seconds:.0f} s")
        if code in (None, KILLED)
        else Kept(f"{seconds:.1f} s, code {code}")
    )


@clause(SERVING)
def sigterm_answers_what_is_under_way(servings: Servings) -> Outcome:
    """Requests that were accepted before SIGTERM are answered before the server ends, those whose bodies are still on their way, too.

    Source: developer guide, "Use your own inference code with hosting services": SIGTERM, then SIGKILL 30 seconds later
    Fix: on SIGTERM stop accepting, answer what has come, then leave; the first process leaves last
    """
    servings.once(answer)
    with servings.ready() as server, ThreadPoolExecutor(UNDER_WAY + 1) as pool:
        servings.asked(server)  # of a first answer that is none, ready_means_ready tells
        accepted = half_sent(server, servings.sample, UNDER_WAY)
        try:
            answers = [
                pool.submit(request.finish) for request in accepted[::2]
            ]  # these are worked on
            server.machine.terminate()
            answers += [
                pool.submit(request.finish) for request in accepted[1::2]
            ]  # and these still being read
            pool.submit(server.leave, servings.limits.serve_stop_s)
            statuses = [future.result() for future in answers]
        finally:
            for request in accepted:
                request.client.close()
    lost = [status for status in statuses if status != "200"]
    if lost:
        return Broken(f"{len(lost)} of {len(statuses)} that were under way were not: {lost[0]}")
    return Kept(f"{len(statuses)} were under way")


@clause(SERVING)
def restarts_crashed_workers(servings: Servings) -> Outcome:
    """A worker process that dies is started again, and requests are answered again; or the server ends, and the platform starts it again.

    Source: amazon-sagemaker-examples issues 3148 and 3407: workers killed for want of memory; MMS's example ends with tail -f /dev/null
    Fix: watch the workers, start a dead one again or end with it; never keep the container up by tail -f
    """
    servings.once(answer)
    with servings.ready() as server:
        workers = server.pids()[1:]
        if not workers:
            return NotApplicable("it has one process, and ends with it")
        try:
            os.kill(victim := workers[-1], signal.SIGKILL)
        except PermissionError:
            return NotApplicable("only root can kill a process of a container")
        began = time.monotonic()
        while time.monotonic() < began + servings.limits.recover_s:
            if server.machine.code() is not None:
                return Kept("the server ended")
            good = 0
            while good < 4 and victim not in server.pids() and _answers(servings, server):
                good += 1
            if good == 4 and len(server.pids()) > len(workers):
                return Kept(f"{time.monotonic() - began:.1f} s")
            time.sleep(0.1)
        return Broken(
            f"{servings.limits.recover_s:.0f} s after a worker was killed there are {len(server.pids()) - 1} of "
            f"{len(workers)} workers, and the sample is {'' if _answers(servings, server) else 'not '}answered"
        )


@clause(SERVING, alone=True)
def memory_is_flat(servings: Servings) -> Outcome:
    """Memory does not grow with the number of requests: 2,000 more take no more than 10% above what the server had when it was warm.

    Source: multi-model-server issues 831, 967 and 974: memory that is not given back
    Fix: find what each request leaves behind, such as lists that grow and temporary files; or have workers renewed after so many requests
    """
    servings.once(answer)
    count, server = servings.limits.flat_requests, servings.once(fresh)
    done, more = _many(servings, server, count // 2), 0
    try:
        warm = sample_of(server.pids()).bytes
        if done == count // 2:
            more = _many(servings, server, count)
        after = sample_of(server.pids()).bytes
    except PermissionError:
        return NotApplicable("only root sees the memory of a container's processes")
    if done + more < count // 2 + count:
        return NotApplicable(
            f"only {done + more} requests were answered in {servings.limits.flat_s:g} s"
        )
    growth = after - warm
    seen = f"{warm / 1e6:.0f} MB, {growth / 1e6:+.1f} MB after {count} more"
    return (
        Broken(seen)
        if growth > max(servings.limits.growth * warm, servings.limits.growth_bytes)
        else Kept(seen)
    )


@clause(SERVING)
def log_is_free_of_payloads(servings: Servings) -> Outcome:
    """What clients send is not in the log, neither as it is nor in base64, whether it could be read or not.

    Source: developer guide, "Log Amazon SageMaker events with Amazon CloudWatch": stdout and stderr are kept there
    Fix: log sizes and types, not bodies, in errors, too
    """
    servings.once(answer)
    lines, *_ = servings.once(stopped)
    codes = {base64.b64encode(b" " * shift + MARK)[4:-4].decode() for shift in range(3)}
    found = [line for line in lines if MARK.decode() in line or any(code in line for code in codes)]
    return Broken(f"it logged {found[0][:160]!r}") if found else Kept(f"{len(lines)} lines")


def stopped(servings: Servings) -> tuple[list[str], int | None, float]:
    """A server that was sent what must not be in its log, and SIGTERM when it had nothing more to do: its log, its exit code, and the seconds until then."""
    answered = servings.once(any_answer).status == 200
    with servings.ready() as server:
        for body in (
            (servings.sample.body + MARK * 20, MARK * 20, NOTHING + MARK) if answered else ()
        ):
            server.invoke(body, servings.sample.content_type, servings.limits.invoke_s)
        return server.lines, *server.stop(servings.limits.serve_stop_s)


def _answers(servings: Servings, server: Server) -> bool:
    return (
        server.invoke(
            servings.sample.body, servings.sample.content_type, servings.limits.ping_s * 5
        ).status
        == 200
    )


def _many(servings: Servings, server: Server, count: int) -> int:
    """Ask so many times, while the time allows it; how many answers were 200."""
    until = time.monotonic() + servings.limits.flat_s
    some = each(itertools.repeat(servings.sample.request(), count))
    return load(
        server.url,
        lambda: some() if time.monotonic() < until else None,
        servings.limits.connections,
    ).statuses.get(200, 0)
