"""python -m bench.serve: our server against Ray Serve, LitServe, BentoML and multi-model-server.

Some peers run eager torch, and some our own engine. Same machine, same trained ResNet50 of 133
classes, same photos, each server in its container, one under load at a time while the others are
paused, in rounds. It needs a Docker engine with slipway-serve and slipway-train (`make images`). It
writes its section of bench/RESULTS.md and bench/serve.png, and first trains the model where
out/bench has none (40 minutes). It ends with its table: servers that do not start and cells that
are left out are in it, and why.
"""

import argparse
import contextlib
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from artifact.host.listening import ask_loopback_directly
from bench.sections import OUT, missed
from bench.serving.containers import bare_engine, build_peers, image_bytes, reference_labels
from bench.serving.contestants import (
    BASE64,
    PHONE,
    PHOTO,
    Contestant,
    NotStarted,
    contestants,
    null_server,
)
from bench.serving.int8 import with_int8
from bench.serving.measuring import Cell, Labels, Photos, measure, measure_all
from bench.serving.model import trained_model
from bench.serving.photos import draw_phones, draw_set
from bench.serving.plot import write_plot
from bench.serving.results import Results, write_section

PRECISIONS = ("bf16", "int8")
AGREEMENT = (16, 4)  # photos of each class, seed: 2,128 photos that nothing else has seen
QUICK_AGREEMENT = (1, 4)
SETTLE_S = 6.0  # after the load, until memory is read: what a server holds, not what it just used


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-serve", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=42, help="for all measurements under load")
    parser.add_argument("--out", type=Path, default=OUT / "bench", help="where the model is kept")
    parser.add_argument("--fresh", action="store_true", help="train the model anew")
    parser.add_argument(
        "--quick", action="store_true", help="a model of one epoch, and nothing written: a try"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args()
    ask_loopback_directly()
    try:
        return bench(options)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench-serve: failed: {error}", file=sys.stderr)
        return 1


def bench(options: argparse.Namespace) -> int:
    out = options.out.absolute()
    trained, folder = trained_model(out, options.fresh, options.quick)
    model, note = with_int8(trained, folder.parent / "train")
    photos = {PHOTO: read(folder), PHONE: read(draw_phones(out / "phones"))}
    photos[BASE64] = photos[PHOTO]
    under_load = load_all(model, photos, options)
    null_ms = float("nan")
    with skipped("a server that does nothing"):
        null_ms = null_server_ms(model, photos[PHOTO], options.seconds)
    engine, bare_ms = bare_engines(model, folder, options)
    agreement: dict[str, float] = {}
    count = 0
    with skipped("the agreement with f32 torch"):
        agreement, count = agreements(model, out, options.quick)
    results = dataclasses.replace(
        under_load,
        engine=engine,
        bare_ms=bare_ms,
        null_ms=null_ms,
        agreement=agreement,
        agreement_photos=count,
        notes=(note,) if note else (),
    )
    if not options.quick:
        write_section(results, options, write_plot(results))
    print(results.table(), flush=True)
    print(results.line(), flush=True)
    return int(options.strict and bool(missed(results.bars())))


def load_all(model: Path, photos: Mapping[str, Photos], options: argparse.Namespace) -> Results:
    """Start all servers, put them under load, and remove them. The results have no engine yet."""
    print("bench-serve: building the peers' images", flush=True)
    unbuilt = build_peers()
    every = contestants(len(os.sched_getaffinity(0)))
    absent = {one.name: unbuilt[one.image] for one in every if one.image in unbuilt}
    servers = [server for server in every if server.name not in absent]
    pss_mb = {}
    try:
        absent |= start_all(servers, model, next(iter(photos[PHOTO].values())))
        present = [server for server in servers if server.name not in absent]
        until = time.monotonic() + 60 * options.minutes
        measured = measure_all(present, photos, options.rounds, options.seconds, until)
        for server in present:
            with skipped(f"memory of {server.name}"):
                server.unpause()
                time.sleep(SETTLE_S)
                pss_mb[server.name] = server.pss_bytes() / 1e6
    finally:
        for server in servers:
            with skipped(f"the end of {server.name}"):
                server.remove()
    image_mb = {}
    for server in present:
        with skipped(f"the size of {server.image}"):
            image_mb[server.name] = image_bytes(server.image) / 1e6
    return Results(
        measured=measured,
        start_s={server.name: server.start_s for server in present},
        pss_mb=pss_mb,
        image_mb=image_mb,
        absent=absent,
    )


def read(folder: Path) -> dict[str, bytes]:
    """The photos of a folder, by their paths in it."""
    paths = sorted(folder.rglob("*.jpg"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def start_all(servers: Sequence[Contestant], model: Path, sample: bytes) -> dict[str, str]:
    """Start all servers, one by one. Returns why some did not start, by name."""
    absent = {}
    for server in servers:
        try:
            server.start(model, sample)
        except NotStarted as error:
            absent[server.name] = str(error)
            print(f"bench-serve: {server.name} did not start: {error}", flush=True)
            server.remove()
            continue
        start = f"answers {server.start_s:.2f} s after docker run"
        print(f"bench-serve: {server.name} {start}", flush=True)
        server.pause()  # so that it takes no processor time from the others
    return absent


def null_server_ms(model: Path, photos: Photos, seconds: float) -> float:
    """The p50 in ms of a server that does nothing, at one connection. RuntimeError without one."""
    server = null_server()
    try:
        server.start(model, next(iter(photos.values())))
        result = measure(server, Cell(server.name, PHOTO, 1), photos, seconds, {})
    finally:
        server.remove()
    return 1000 * result.percentile_s(0.5)


def bare_engines(
    model: Path, photos: Path, options: argparse.Namespace
) -> tuple[dict[str, float], float]:
    """The engine's photos/s without a server, by precision, and the p50 in ms of one int8 thread.

    An engine that this processor or this model has not is left out, and its reason is printed.
    """
    rates = {}
    for precision in PRECISIONS:
        with skipped(f"bare engine {precision}"):
            seconds = options.seconds
            runs = [bare_engine(model, photos, precision, seconds) for _ in range(options.rounds)]
            rates[precision] = statistics.median(run["rate"] for run in runs)
            print(f"bench-serve: bare engine {precision}: {rates[precision]:.1f}/s", flush=True)
    bare_ms = float("nan")
    with skipped("bare engine int8, one thread"):
        bare_ms = bare_engine(model, photos, "int8", options.seconds, threads=1)["p50_ms"]
    return rates, bare_ms


@contextlib.contextmanager
def skipped(what: str) -> Iterator[None]:
    """What fails inside is left out of the table, and said."""
    try:
        yield
    except Exception as error:  # whatever it is: the table must come
        print(f"bench-serve: {what}: left out: {error}", flush=True)


def agreements(model: Path, out: Path, quick: bool) -> tuple[dict[str, float], int]:
    """The share of photos with the same top label as f32 torch's, by engine; and how many."""
    count, seed = QUICK_AGREEMENT if quick else AGREEMENT
    folder = out / f"agreement-{count}"
    if not folder.is_dir():
        draw_set(folder, count, seed)
    reference = reference_labels(model, folder)
    wanted = {photo: labels["reference"] for photo, labels in reference.items()}
    labels: Labels = {}
    for precision in (*PRECISIONS, "f32"):
        with skipped(f"agreement of {precision}"):
            labels[f"engine-{precision}"] = bare_engine(model, folder, precision, 0.0)["labels"]
    labels["torch-engine"] = {photo: found["engine"] for photo, found in reference.items()}
    shares = {name: share(answers, wanted) for name, answers in labels.items()}
    return shares, len(wanted)


def share(answers: Mapping[str, str], wanted: Mapping[str, str]) -> float:
    same = [label == wanted[photo] for photo, label in answers.items()]
    return sum(same) / len(same)


if __name__ == "__main__":
    sys.exit(main())
