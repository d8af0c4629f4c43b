"""The parts of a soak test that a server must pass without harm: hostile, steady, mixed traffic."""

import itertools
import random
import statistics
import time
from collections import Counter

from artifact.photos.kinds import KINDS
from local_test.soak_verdict import Good, Verdict, described, endless, is_correct, is_refusal
from runtime.errors import RunError
from runtime.load import Answer, Request, each, every, load
from runtime.probes import ping
from runtime.watched import Sample, ServingContainer

CONTENT_TYPES = (
    *(kind.media_types[0] for kind in KINDS),
    "application/x-image",
    "application/octet-stream",
    "multipart/form-data; boundary=edge",
    "application/json",
    "application/jsonlines",
    "text/plain",
)
CONNECTIONS = 64
PING_MS = 50  # at most, even while every core is busy
PING_EVERY_S = 0.05
GOOD_SHARE = 0.8  # of mixed traffic
SAMPLES = 300
MEMORY_GROWTH = 0.05  # from the middle to the last third, at most
MORE_FILES = 16
MORE_THREADS = 8


def references(server: ServingContainer, photos: list[Request]) -> Good:
    """The answer to each photo when it is asked for alone. RunError for a refused photo."""
    answers: list[Answer] = []
    load(server.url, each(photos), 1, answers.append)
    for answer in answers:
        if answer.status != 200:
            raise RunError(
                f"'{answer.request.name}' is answered with {answer.status}: "
                f"{answer.body[:200]!r} {answer.error}"
            )
    distinct = len({answer.body for answer in answers})
    print(f"soak: {len(answers)} good photos with {distinct} different answers", flush=True)
    return {answer.request.name: (answer.request, answer.body) for answer in answers}


def all_hostile(server: ServingContainer, hostile: dict[str, bytes], verdict: Verdict) -> None:
    """Every body as every content type: no server error, no lost connection, no dead worker."""
    workers = server.worker_pids()
    requests: list[Request] = []
    for name, body in hostile.items():
        requests += [Request(name, body, content_type) for content_type in CONTENT_TYPES]
    print(f"soak: {len(requests)} hostile requests", flush=True)
    answers: list[Answer] = []
    load(server.url, each(requests), 4, answers.append)
    errors = [answer for answer in answers if not is_refusal(answer)]
    for answer in errors:
        verdict.expect(False, described(answer))
    verdict.expect(server.worker_pids() == workers, "a worker died of a hostile body")
    counted = Counter(answer.status for answer in answers)
    statuses = dict(sorted(counted.items()))
    slowest_s = max(answer.seconds for answer in answers)
    print(f"soak: hostile statuses {statuses}, the slowest took {slowest_s:.1f} s", flush=True)
    verdict.numbers["hostile"] = len(answers)
    verdict.numbers["server_errors"] = len(errors)


def steady_load(server: ServingContainer, good: Good, count: int, verdict: Verdict) -> None:
    """Good photos from 64 connections: no error, no lost answer, /ping quick.

    Each answer is its own photo's.
    """
    photos = endless(good)
    wrong: list[str] = []
    pings: list[float] = []

    def answered(answer: Answer) -> None:
        if not is_correct(answer, good):
            wrong.append(described(answer))

    with every(PING_EVERY_S, lambda: pings.append(_ping_s(server.url))):
        requests = each(itertools.islice(photos, count))
        result = load(server.url, requests, CONNECTIONS, answered)
    verdict.expect(not wrong, f"{len(wrong)} wrong answers, the first: {wrong[:1]}")
    answers = len(result.latencies_s)
    verdict.expect(answers == count, f"{answers} of {count} requests were answered")
    _expect_quick_pings(pings, verdict)
    p50_ms = result.percentile_s(0.5) * 1000
    p99_ms = result.percentile_s(0.99) * 1000
    print(
        f"soak: {count} requests from {CONNECTIONS} connections: {result.rate:.1f}/s, "
        f"p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms",
        flush=True,
    )
    verdict.numbers["requests"] = count
    verdict.numbers["wrong"] = len(wrong)


def _expect_quick_pings(pings: list[float], verdict: Verdict) -> None:
    ordered = sorted(pings) or [float("inf")]
    rank = int(0.99 * (len(ordered) - 1))
    p99_ms = round(ordered[rank] * 1000, 1)
    p50_s = statistics.median(ordered)
    verdict.numbers["ping_p50_ms"] = round(p50_s * 1000, 1)
    verdict.numbers["ping_p99_ms"] = p99_ms
    longest_s = ordered[-1]
    verdict.numbers["ping_max_ms"] = round(longest_s * 1000, 1)
    sentence = f"/ping took {p99_ms} ms (p99) under load; at most {PING_MS}"
    verdict.expect_in_time(p99_ms < PING_MS, sentence)


def _ping_s(url: str) -> float:
    """Seconds until /ping answered 200; infinite when it did not."""
    started = time.monotonic()
    status = ping(url)
    if status != 200:
        return float("inf")
    return time.monotonic() - started


def mixed(
    server: ServingContainer,
    good: Good,
    hostile: dict[str, bytes],
    seconds: float,
    verdict: Verdict,
) -> None:
    """Good and hostile traffic for a time. Memory, files and threads must not grow."""
    end = time.monotonic() + seconds
    chance = random.Random(2)
    names = list(good)
    bodies = list(hostile.items())
    samples: list[Sample] = []

    def next_request() -> Request | None:
        if time.monotonic() > end:
            return None
        if chance.random() < GOOD_SHARE:
            return good[chance.choice(names)][0]
        name, body = chance.choice(bodies)
        return Request(f"hostile {name}", body, chance.choice(CONTENT_TYPES))

    def answered(answer: Answer) -> None:
        if answer.request.name in good:
            verdict.expect(is_correct(answer, good), described(answer))
        else:
            verdict.expect(is_refusal(answer), described(answer))

    with every(seconds / SAMPLES, lambda: samples.append(server.sample())):
        result = load(server.url, next_request, 16, answered)
    count = len(result.latencies_s)
    verdict.numbers["mixed"] = count
    print(f"soak: {count} mixed requests in {result.seconds:.0f} s", flush=True)
    _expect_flat(samples, verdict)


def _expect_flat(samples: list[Sample], verdict: Verdict) -> None:
    """The last third of the samples against the middle one: the first is for warming up."""
    third = len(samples) // 3
    middle = samples[third : 2 * third]
    last = samples[2 * third :]
    first = samples[:third]
    floors = [_floor(first), _floor(middle), _floor(last)]
    growth = floors[2] / floors[1] - 1
    most = max(sample.bytes for sample in samples)
    shown = [round(floor / 1e6) for floor in floors]
    print(f"soak: memory {shown} MB, for moments {most / 1e6:.0f}", flush=True)
    grown = f"memory grew by {100 * growth:.1f} % between the middle and the last third"
    verdict.expect_in_time(growth <= MEMORY_GROWTH, grown)
    # The most at any moment of the two thirds: both go up and down with the requests.
    files = _most_files(last) - _most_files(middle)
    more = f"{files} more open files at the end than in the middle"
    verdict.expect(files <= MORE_FILES, more)
    threads = _most_threads(last) - _most_threads(middle)
    more = f"{threads} more threads at the end than in the middle"
    verdict.expect(threads <= MORE_THREADS, more)
    verdict.numbers["memory_growth"] = f"{growth:+.3f}"
    verdict.numbers["files"] = f"{files:+d}"
    verdict.numbers["threads"] = f"{threads:+d}"


def _most_files(samples: list[Sample]) -> int:
    return max(sample.files for sample in samples)


def _most_threads(samples: list[Sample]) -> int:
    return max(sample.threads for sample in samples)


def _floor(samples: list[Sample]) -> int:
    """The memory in bytes that stays between photos: the lowest tenth of the samples.

    Photos that are just being decoded come on top, by the hundred megabytes.
    """
    ordered = sorted(sample.bytes for sample in samples)
    return ordered[len(ordered) // 10]
