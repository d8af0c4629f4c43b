"""Cells of training: the network fed in three ways, torchvision's reference, and a frozen head."""

import json
import shutil
import statistics
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from bench.on_gpu.cells import Bench, Figure
from bench.sections import REPOSITORY
from bench.serving.photos import class_names
from bench.training.jobs import ALL_LAYERS, SEED_LIKE, draw_photos, epoch_figures, make_job, run
from diagnose.profiler_reader import read_profile

REFERENCE = REPOSITORY / "bench" / "peers" / "torchvision_reference.py"
CLASSES = 10
# of a photo of 224 x 224, forward and backward
RESNET50_OPERATIONS = 3 * 2 * 4.09e9


def photos_of(bench: Bench, classes: int, count: int) -> Path:
    """Drawn photos of 500x375, a folder for each class; kept for the next run."""
    names = class_names()[:classes]
    data = bench.out / f"photos-{classes}x{count}"
    draw_photos(data / "train", names, count, 1)
    draw_photos(data / "validation", names, max(1, count // 10), 2)
    return data


def fed(bench: Bench) -> Mapping[str, Figure]:
    """Photos/s of the step alone, and fed from JPEGs and from photos that are kept."""
    sizes = bench.sizes
    data = photos_of(bench, CLASSES, sizes.photos)
    words = ["-m", "bench.training.feeding", data / "train", "--fed", "--model", sizes.model]
    words += ["--batch-size", sizes.batch_size, "--side", sizes.side, "--steps", sizes.steps]
    rates = json.loads(run("our step, fed", *words, limit_s=sizes.limit_s).last_line())
    found = {name: rates[name] for name in ("step", "jpegs", "resident")}
    found["decoding"] = rates["first"]
    if sizes.model == "resnet50" and "limit" in bench.figures:
        done = rates["step"] * RESNET50_OPERATIONS / 1e12
        found["share"] = 100 * done / float(bench.figures["limit"])
    return found | {
        "jpegs_of_step": rates["jpegs"] / rates["step"],
        "resident_of_step": rates["resident"] / rates["step"],
    }


def reference(bench: Bench) -> Mapping[str, Figure]:
    """Photos/s of torchvision's reference loop after its first epoch, and ours as a multiple."""
    sizes = bench.sizes
    data = photos_of(bench, CLASSES, sizes.photos)
    found: dict[str, Figure] = {}
    for key, more in (("reference_f32", ()), ("reference_amp", ("--amp",))):
        words = [REFERENCE, data / "train", "--model", sizes.model, "--device", bench.device]
        words += ["--batch-size", sizes.batch_size, "--epochs", sizes.epochs, "--side", sizes.side]
        words += ["--workers", bench.cores, *more]
        done = run(f"torchvision's reference {' '.join(more)}", *words, limit_s=sizes.limit_s)
        lines = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
        found[key] = statistics.median(line["photos"] / line["train_s"] for line in lines[1:])
    best = max(float(rate) for rate in found.values())
    for key in ("jpegs", "resident"):
        if key in bench.figures:
            found[f"{key}_vs_reference"] = float(bench.figures[key]) / best
    return found


def program(bench: Bench) -> Mapping[str, Figure]:
    """Photos/s of the epochs of `python -m train`, after the first; its model is kept."""
    sizes = bench.sizes
    data = photos_of(bench, CLASSES, sizes.photos)
    own = {"model": sizes.model, "batch_size": sizes.batch_size, "epochs": sizes.epochs}
    own |= {"image_size": sizes.side, "resize": sizes.side * 256 // 224, "split": "0.8,0.1,0.1"}
    job = make_job(model_job(bench), data, ALL_LAYERS | own)
    shutil.rmtree(bench.out / "cache", ignore_errors=True)
    words = ("-m", "train", "--root", job)
    done = run("python -m train", *words, cache=bench.out / "cache", limit_s=sizes.limit_s)
    photos = CLASSES * sizes.photos
    seconds = epoch_figures(done.output, "seconds")
    rate = statistics.median(photos / one for one in seconds[1:])
    return {"program": rate, "first_epoch": photos / seconds[0], "train_peak": done.peak / 2**30}


def model_job(bench: Bench) -> Path:
    """Where `program` trains the model that the other cells serve."""
    return bench.out / "job"


def head(bench: Bench) -> Mapping[str, Figure]:
    """Seconds of a whole training of a frozen network's head, and what the profile says of it."""
    sizes = bench.sizes
    data = photos_of(bench, sizes.head_classes, sizes.head_photos)
    own = {"model": sizes.head_model, "weights": "none", "epochs": sizes.head_epochs}
    own |= {"profile": "true", "image_size": sizes.side, "resize": sizes.side * 256 // 224}
    job = make_job(bench.out / "head", data, SEED_LIKE | own)
    shutil.rmtree(bench.out / "cache-head", ignore_errors=True)
    words = ("-m", "train", "--root", job)
    done = run("a frozen head", *words, cache=bench.out / "cache-head", limit_s=sizes.limit_s)
    photos = sizes.head_classes * sizes.head_photos
    # Frozen features are computed once, while the photos are decoded: in the first epoch.
    seconds = epoch_figures(done.output, "seconds")
    found: dict[str, Figure] = {"head": done.seconds, "head_first_epoch": photos / seconds[0]}
    if "decoding" in bench.figures:
        found["head_of_decoding"] = photos / seconds[0] / float(bench.figures["decoding"])
    profile = read_profile(job / "output")
    for key, dimension in (("head_processor", "CPUUtilization"), ("head_gpu", "GPUUtilization")):
        values = list(chain.from_iterable(one.values for one in profile.metrics(dimension)))
        if values:
            found[key] = statistics.mean(values)
    return found
