"""The parts of a soak test that end something under load: one worker, then the container."""

import threading
import time
from collections.abc import Iterator

from local_test.soak_verdict import Good, Verdict, endless, is_correct
from runtime.load import Answer, Request, load
from runtime.probes import ping
from runtime.watched import ServingContainer

CONNECTIONS = 16
UNDER_LOAD_S = 1.0  # before the end
AFTER_S = 2.0  # that the load goes on
BACK_S = 3.0  # after a worker was killed, at most
LEAVE_S = 25.0  # after SIGTERM, at most
GIVE_UP_S = 60.0
# A connection whose end the client has not seen yet may carry one more request.
LATE_S = 0.2
MOST_LOST = 2 * CONNECTIONS  # requests


def killed_worker(server: ServingContainer, good: Good, verdict: Verdict) -> None:
    """kill -9 under load: back soon, and only requests that were in that worker fail."""
    photos = endless(good)
    answers: list[Answer] = []
    moments: list[float] = []  # of the kill, and of the first 200 afterwards
    over = threading.Event()

    def kill() -> None:
        try:
            time.sleep(UNDER_LOAD_S)
            killed = server.kill_worker()
            moments.append(killed)
            while ping(server.url) != 200 and time.monotonic() < killed + GIVE_UP_S:
                time.sleep(0.01)
            moments.append(time.monotonic())
            time.sleep(AFTER_S)
        finally:
            over.set()

    thread = threading.Thread(target=kill)
    thread.start()
    load(server.url, lambda: _unless(over, photos), CONNECTIONS, answers.append)
    thread.join()
    killed, back = moments
    back_s = back - killed
    sentence = f"{back_s:.1f} s from kill -9 to the next 200 on /ping; at most {BACK_S:g}"
    verdict.expect_in_time(back_s < BACK_S, sentence)
    failed = [answer for answer in answers if answer.status != 200]
    late = [answer for answer in failed if answer.started > killed + LATE_S]
    sentence = f"{len(failed)} requests failed, {len(late)} of them sent after the kill"
    verdict.expect(not late, sentence)
    verdict.expect(len(failed) <= MOST_LOST, f"{sentence}; at most {MOST_LOST} may fail")
    answered = [answer for answer in answers if answer.status == 200]
    wrong = [answer for answer in answered if not is_correct(answer, good)]
    verdict.expect(not wrong, "a wrong answer after the kill")
    verdict.numbers["back_s"] = round(back_s, 2)
    verdict.numbers["lost_by_kill"] = len(failed)


def sigterm(server: ServingContainer, good: Good, verdict: Verdict) -> None:
    """SIGTERM under load: everything accepted is answered, and the container leaves with 0."""
    photos = endless(good)
    answers: list[Answer] = []
    moments: list[float] = []
    ends: list[tuple[int, float]] = []
    over = threading.Event()

    def stop() -> None:
        try:
            time.sleep(UNDER_LOAD_S)
            moments.append(time.monotonic())
            ends.append(server.stop())
        finally:
            over.set()

    thread = threading.Thread(target=stop)
    thread.start()
    load(server.url, lambda: _unless(over, photos), CONNECTIONS, answers.append)
    thread.join()
    [began] = moments
    [(code, seconds)] = ends
    left = f"the container left with {code} after {seconds:.1f} s"
    verdict.expect(code == 0, left)
    verdict.expect(seconds < LEAVE_S, f"{left}; at most {LEAVE_S:g} s")
    # Requests that were sent after SIGTERM may find the port closed.
    before = [answer for answer in answers if answer.started < began]
    unanswered = [answer for answer in before if answer.status != 200]
    errors = [answer.error for answer in unanswered[:3]]
    sentence = f"{len(unanswered)} accepted requests were not answered: {errors}"
    verdict.expect(not unanswered, sentence)
    verdict.numbers["leave_s"] = round(seconds, 1)


def _unless(over: threading.Event, photos: Iterator[Request]) -> Request | None:
    """The next photo until it is over."""
    if over.is_set():
        return None
    return next(photos)
