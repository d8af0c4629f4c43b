"""Clauses on which of a server's processes does what: who gets SIGTERM, whom /ping speaks for."""

import os
import signal
import time
from pathlib import Path

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.server import Server
from conformance.servings import Servings, answer
from runtime.watched import sample_of

SHELLS = ("sh", "ash", "bash", "busybox", "dash", "ksh", "zsh")
PAUSE_S = 0.05  # between two looks
PATIENCE_S = 5  # with an answer to the sample
GOOD_ANSWERS = 4  # in a row, before a server counts as recovered


@clause(SERVING)
def sigterm_reaches_the_server(servings: Servings) -> Outcome:
    """Where the first process is a shell, the server behind it gets SIGTERM, too: it takes no new
    requests, and the container ends by itself.

    Source: developer guide, "Use your own inference code with hosting services": SIGTERM, then
        SIGKILL 30 seconds later; bash(1), "SIGNALS": a shell waits for its command first
    Fix: end the script with exec and the server's command, or trap TERM and hand it on
    """
    servings.once(answer)
    limits = servings.limits
    with servings.ready() as server:
        servings.asked(server)
        shell = _name_of(server.pids()[0])
        if shell not in SHELLS:
            return Kept(f"the first process is {shell}, not a shell")
        server.instance.terminate()
        began = time.monotonic()
        while server.instance.code() is None:
            passed = time.monotonic() - began
            if passed > limits.serve_stop_s:
                return Broken(f"behind {shell} it had to be killed after {passed:.0f} s")
            if passed > limits.told_s and server.ping(limits.ping_s).status == 200:
                return Broken(f"{passed:.1f} s after SIGTERM to {shell} it still answers /ping")
            time.sleep(PAUSE_S)
        return Kept(f"behind {shell} it ended after {time.monotonic() - began:.1f} s")


@clause(SERVING)
def ping_speaks_for_the_model(servings: Servings) -> Outcome:
    """While the process that holds the model is gone, and the sample gets no answer, /ping does not
    say 200: the platform would keep sending requests there.

    Source: developer guide, "How your container should respond to health check (ping) requests":
        200 means ready to accept inference requests; deep-learning-containers, sagemaker_serve.py
        of Ray: /ping asks the proxy
    Fix: let /ping ask the process that holds the model, not the proxy in front of it
    """
    servings.once(answer)
    with servings.ready() as server:
        servings.asked(server)
        others = server.pids()[1:]
        if not others:
            return NotApplicable("the server is one process, and ends with it")
        try:
            # the model is what takes the memory
            largest = max(others, key=lambda pid: sample_of([pid]).bytes)
            name = _name_of(largest)
            os.kill(largest, signal.SIGKILL)
        except PermissionError:
            return NotApplicable("only root can kill a container's process")
        return _spoken(servings, server, name)


def _spoken(servings: Servings, server: Server, name: str) -> Outcome:
    """What /ping says from the death of the model's process until the sample is answered again."""
    limits = servings.limits
    sample = servings.sample
    began = time.monotonic()
    false_since = None
    good = 0
    while time.monotonic() < began + limits.recover_s:
        if server.instance.code() is not None:
            return Kept(f"the server ended with {name}")
        healthy = server.ping(limits.ping_s).status == 200
        asked = time.monotonic()
        reply = server.invoke(sample.body, sample.content_type, min(PATIENCE_S, limits.invoke_s))
        if reply.status == 200:
            good += 1
            false_since = None
        elif healthy:
            good = 0
            false_since = false_since or asked
        else:
            false_since = None
        if good == GOOD_ANSWERS:
            return Kept(f"answered again {time.monotonic() - began:.1f} s after {name} was killed")
        if false_since and time.monotonic() - false_since > limits.notice_s:
            return Broken(f"{name} was killed: the sample got {reply.summary()}, /ping 200")
        time.sleep(PAUSE_S)
    return Kept(f"{name} was killed, and /ping says so")


def _name_of(pid: int) -> str:
    """A process's name, as Linux keeps it; "" where it is gone, or where there is no Linux."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
