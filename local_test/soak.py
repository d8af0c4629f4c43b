"""python -m local_test.soak: load, hostile bodies, a killed worker and SIGTERM against a serving container with 1 GiB of memory.

Every answer is held against the one that the same photo got alone. What fails is told; the last line sums up.
"""

import argparse
import itertools
import random
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from local_test.hostile import hostile_bodies
from runtime.errors import RunError
from runtime.load import Answer, Request, each, every, load
from runtime.probes import ping
from runtime.watched import MEMORY_BYTES, ServingContainer, serving_container

CONTENT_TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "application/x-image",
    "application/octet-stream",
    "multipart/form-data; boundary=edge",
    "application/json",
    "application/jsonlines",
    "text/plain",
)
GOOD_SUFFIXES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
PING_MS = 50  # even while every core is busy
BACK_S = 3.0  # after a worker was killed
LEAVE_S = 25.0  # after SIGTERM
FLAT = 0.05
GIVE_UP_S = 60.0


@dataclass
class Verdict:
    """Numbers for the last line, and what is not as it must be."""

    timed: bool
    numbers: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        """Note a failure, at most a few of a kind."""
        if not holds and len(self.failures) < 20:
            self.failures.append(sentence)
            print(f"soak: FAILED: {sentence}", flush=True)

    def expect_in_time(self, holds: bool, sentence: str) -> None:
        """The same for what depends on how busy the machine is."""
        self.expect(holds or not self.timed, sentence)


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of an artifact")
    parser.add_argument(
        "--photos", type=Path, required=True, help="folder of good photos, searched through"
    )
    parser.add_argument(
        "--hostile",
        type=Path,
        action="append",
        default=[],
        help="folder of more hostile files, searched through; may be repeated",
    )
    parser.add_argument("--image", default="slipway-serve")
    parser.add_argument(
        "--requests", type=int, default=20_000, help="of the load from 64 connections"
    )
    parser.add_argument("--minutes", type=float, default=10, help="of mixed traffic")
    parser.add_argument(
        "--untimed",
        action="store_true",
        help="report times and growth, but do not fail on them: for a machine that does other work, too",
    )
    options = parser.parse_args()
    try:
        return soak(options)
    except (RunError, OSError) as error:
        print(f"soak: failed: {error}", file=sys.stderr)
        return 1


def soak(options: argparse.Namespace) -> int:
    """All parts, one after the other; 0 when nothing failed."""
    verdict = Verdict(not options.untimed)
    hostile = hostile_bodies()
    for folder in options.hostile:
        hostile |= {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    with serving_container(options.image, options.model) as server:
        good = references(server, good_photos(options.photos))
        all_hostile(server, hostile, verdict)
        steady_load(server, good, options.requests, verdict)
        mixed(server, good, hostile, options.minutes * 60, verdict)
        killed_worker(server, good, verdict)
        verdict.numbers["peak_mb"] = round(server.peak_bytes() / 1e6)
        verdict.expect(
            server.peak_bytes() <= MEMORY_BYTES,
            f"the container used {server.peak_bytes() / 2**20:.0f} MiB",
        )
        sigterm(server, good, verdict)
    print(
        "soak: "
        + " ".join(f"{name}={value}" for name, value in verdict.numbers.items())
        + f" failures={len(verdict.failures)}",
        flush=True,
    )
    return 1 if verdict.failures else 0


def good_photos(folder: Path) -> list[Request]:
    """Up to 200 photos from all over a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in GOOD_SUFFIXES)
    if not paths:
        raise RunError(f"'{folder}' holds no photos ({', '.join(GOOD_SUFFIXES)})")
    return [
        Request(str(path), path.read_bytes(), GOOD_SUFFIXES[path.suffix.lower()])
        for path in paths[:: max(1, len(paths) // 200)][:200]
    ]


def references(server: ServingContainer, photos: list[Request]) -> dict[str, tuple[Request, bytes]]:
    """What each photo is answered when it is asked for alone."""
    answers: list[Answer] = []
    load(server.url, each(photos), 1, answers.append)
    bad = [answer for answer in answers if answer.status != 200]
    if bad:
        raise RunError(
            f"'{bad[0].request.name}' is answered with {bad[0].status}: {bad[0].body[:200]!r} {bad[0].error}"
        )
    distinct = len({answer.body for answer in answers})
    print(f"soak: {len(answers)} good photos with {distinct} different answers", flush=True)
    return {answer.request.name: (answer.request, answer.body) for answer in answers}


def all_hostile(server: ServingContainer, hostile: dict[str, bytes], verdict: Verdict) -> None:
    """Every body as every content type: never a server error, never a lost connection, never a dead worker."""
    workers = server.worker_pids()
    requests = [
        Request(name, body, content_type)
        for name, body in hostile.items()
        for content_type in CONTENT_TYPES
    ]
    print(f"soak: {len(requests)} hostile requests", flush=True)
    answers: list[Answer] = []
    load(server.url, each(requests), 4, answers.append)
    for answer in answers:
        verdict.expect(
            0 < answer.status < 500,
            f"{answer.request.name} as {answer.request.content_type}: {answer.status} {answer.error} {answer.body[:200]!r}",
        )
    verdict.expect(server.worker_pids() == workers, "a worker died of a hostile body")
    statuses = {
        status: sum(answer.status == status for answer in answers)
        for status in sorted({answer.status for answer in answers})
    }
    print(
        f"soak: hostile statuses {statuses}, the slowest took {max(answer.seconds for answer in answers):.1f} s",
        flush=True,
    )
    verdict.numbers |= {
        "hostile": len(answers),
        "server_errors": sum(not 0 < answer.status < 500 for answer in answers),
    }


def steady_load(server: ServingContainer, good: dict, count: int, verdict: Verdict) -> None:
    """So many requests from 64 connections: no error, no lost answer, each answer its own photo's, /ping quick meanwhile."""
    photos = list(good.values())
    order = itertools.islice(itertools.cycle(photo for photo, _ in photos), count)
    wrong: list[str] = []

    def answered(answer: Answer) -> None:
        if answer.status != 200 or answer.body != good[answer.request.name][1]:
            wrong.append(
                f"{answer.request.name}: {answer.status} {answer.error} {answer.body[:100]!r}"
            )

    pings: list[float] = []
    with every(0.05, lambda: pings.append(_timed_ping(server.url))):
        result = load(server.url, lambda: next(order, None), 64, answered)
    verdict.expect(not wrong, f"{len(wrong)} wrong answers, the first: {wrong[:1]}")
    verdict.expect(
        len(result.latencies_s) == count,
        f"{len(result.latencies_s)} of {count} requests were answered",
    )
    _judge_pings(pings, verdict)
    print(
        f"soak: {count} requests from 64 connections: {result.rate:.1f}/s, p50 {result.percentile_s(0.5) * 1000:.0f} ms, p99 {result.percentile_s(0.99) * 1000:.0f} ms",
        flush=True,
    )
    verdict.numbers |= {"requests": count, "wrong": len(wrong)}


def _judge_pings(pings: list[float], verdict: Verdict) -> None:
    ordered = sorted(pings) or [float("inf")]
    verdict.numbers |= {
        "ping_p50_ms": round(statistics.median(ordered) * 1000, 1),
        "ping_p99_ms": round(ordered[int(0.99 * (len(ordered) - 1))] * 1000, 1),
        "ping_max_ms": round(ordered[-1] * 1000, 1),
    }
    verdict.expect_in_time(
        verdict.numbers["ping_p99_ms"] < PING_MS,
        f"/ping took {verdict.numbers['ping_p99_ms']} ms (p99) under load; at most {PING_MS}",
    )


def mixed(
    server: ServingContainer,
    good: dict,
    hostile: dict[str, bytes],
    seconds: float,
    verdict: Verdict,
) -> None:
    """Good and hostile traffic for a time: memory flat, no more files or threads at the end than when it was warm."""
    until, chance, samples = time.monotonic() + seconds, random.Random(2), []
    names, bodies = list(good), list(hostile.items())

    def next_request() -> Request | None:
        if time.monotonic() > until:
            return None
        if chance.random() < 0.8:
            return good[chance.choice(names)][0]
        name, body = chance.choice(bodies)
        return Request(f"hostile {name}", body, chance.choice(CONTENT_TYPES))

    def answered(answer: Answer) -> None:
        if answer.request.name in good:
            verdict.expect(
                answer.status == 200 and answer.body == good[answer.request.name][1],
                f"{answer.request.name}: {answer.status} {answer.error}",
            )
        else:
            verdict.expect(
                0 < answer.status < 500,
                f"{answer.request.name} as {answer.request.content_type}: {answer.status} {answer.error} {answer.body[:200]!r}",
            )

    with every(seconds / 300, lambda: samples.append(server.sample())):
        result = load(server.url, next_request, 16, answered)
    parts = [
        samples[len(samples) * third // 3 : len(samples) * (third + 1) // 3] for third in range(3)
    ]
    # photos that are just being decoded come on top, by the hundred megabytes: what stays is seen between them
    floors = [sorted(sample.bytes for sample in part)[len(part) // 10] for part in parts]
    growth = floors[2] / floors[1] - 1
    files, threads = (
        max(getattr(sample, name) for sample in parts[2])
        - max(getattr(sample, name) for sample in parts[1])
        for name in ("files", "threads")
    )
    print(
        f"soak: {len(result.latencies_s)} mixed requests in {result.seconds:.0f} s; memory {[round(floor / 1e6) for floor in floors]} MB, "
        f"for moments {max(sample.bytes for sample in samples) / 1e6:.0f}",
        flush=True,
    )
    verdict.expect_in_time(
        growth <= FLAT, f"memory grew by {growth:.1%} between the middle and the last third"
    )
    verdict.expect(files <= 16, f"{files} more open files at the end than in the middle")
    verdict.expect(threads <= 8, f"{threads} more threads at the end than in the middle")
    verdict.numbers |= {
        "mixed": len(result.latencies_s),
        "memory_growth": f"{growth:+.3f}",
        "files": f"{files:+d}",
        "threads": f"{threads:+d}",
    }


def killed_worker(server: ServingContainer, good: dict, verdict: Verdict) -> None:
    """kill -9 under load: back soon, and only requests that were in that worker fail."""
    photos, answers, killed = itertools.cycle(photo for photo, _ in good.values()), [], []
    over = threading.Event()

    def kill() -> None:
        try:
            time.sleep(1)
            killed.append(server.kill_worker())
            while ping(server.url) != 200 and time.monotonic() < killed[0] + GIVE_UP_S:
                time.sleep(0.01)
            killed.append(time.monotonic())
            time.sleep(2)
        finally:
            over.set()

    killing = threading.Thread(target=kill)
    killing.start()
    load(server.url, lambda: None if over.is_set() else next(photos), 16, answers.append)
    killing.join()
    back_s = killed[1] - killed[0]
    failed = [answer for answer in answers if answer.status != 200]
    verdict.expect_in_time(
        back_s < BACK_S, f"{back_s:.1f} s from kill -9 to the next 200 on /ping; at most {BACK_S:g}"
    )
    # a connection whose end the client has not seen yet may carry one more request
    verdict.expect(
        all(answer.started <= killed[0] + 0.2 for answer in failed) and len(failed) <= 32,
        f"{len(failed)} requests failed, some sent after the kill",
    )
    verdict.expect(
        all(
            answer.body == good[answer.request.name][1]
            for answer in answers
            if answer.status == 200
        ),
        "a wrong answer after the kill",
    )
    verdict.numbers |= {"back_s": round(back_s, 2), "lost_by_kill": len(failed)}


def sigterm(server: ServingContainer, good: dict, verdict: Verdict) -> None:
    """SIGTERM under load: everything accepted is answered, and the container leaves with 0 in time."""
    photos, answers, ended = (
        itertools.cycle(photo for photo, _ in good.values()),
        [],
        threading.Event(),
    )
    began: list[float] = []
    left: list[tuple[int, float]] = []

    def stop() -> None:
        try:
            time.sleep(1)
            began.append(time.monotonic())
            left.append(server.stop())
        finally:
            ended.set()

    stopping = threading.Thread(target=stop)
    stopping.start()
    load(server.url, lambda: None if ended.is_set() else next(photos), 16, answers.append)
    stopping.join()
    ((code, seconds),) = left
    unanswered = [
        answer for answer in answers if answer.status != 200 and answer.started < began[0]
    ]  # later ones may find the door closed
    verdict.expect(
        code == 0 and seconds < LEAVE_S, f"the container left with {code} after {seconds:.1f} s"
    )
    verdict.expect(
        not unanswered,
        f"{len(unanswered)} accepted requests were not answered: {[answer.error for answer in unanswered[:3]]}",
    )
    verdict.numbers |= {"leave_s": round(seconds, 1)}


def _timed_ping(url: str) -> float:
    """Seconds until /ping answered 200; infinite when it did not."""
    started = time.monotonic()
    status = ping(url)
    return time.monotonic() - started if status == 200 else float("inf")


if __name__ == "__main__":
    sys.exit(main())
