"""Photos that hosts share out among them, as SageMaker's ShardedByS3Key does: unequal parts."""

import html
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from artifact.class_means import read_class_means
from artifact.folders.photo_tree import PassedBy
from artifact.model import read_description
from tests.support.jobs import failure, make_job, train_job
from tests.support.processes import HOSTS, ended, history, name_hosts, start_hosts
from train.data.batches import shuffled
from train.data.channels import SharedOut, read_channels
from train.data.photo_index import index_photos, merged
from train.data.shared_out import shared_out_channels
from train.distributed.context import DistributedContext
from train.job import Job, JobError
from train.progress import Progress
from train.result.doubts import LABELS_FILE

SPLIT = (0.7, 0.1, 0.2)
# photos of each class on the first host and on the second, which lacks one class
PARTS = ({"blue": 5, "green": 2, "red": 3}, {"blue": 1, "green": 4})


def index(folder: Path, photos: dict[str, int], name: str):
    for label, count in photos.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"{name}-{number}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(number))
    return index_photos(folder, Progress("listing"), PassedBy())


@pytest.fixture
def parts(tmp_path):
    return [index(tmp_path / f"host-{n}", part, f"p{n}") for n, part in enumerate(PARTS)]


def test_all_hosts_photos_are_one_index(parts):
    every = merged(parts, parts[0].folder)
    assert every.classes == {"blue": 6, "green": 6, "red": 3}
    names = [every.name(row).decode() for row in range(len(every))]
    assert names[:6] == [f"blue/p0-{n}.jpg" for n in range(5)] + ["blue/p1-0.jpg"]
    assert every.owners is not None
    assert [int("/p1-" in name) for name in names] == every.owners.tolist()
    for row, name in enumerate(names):
        assert every.sizes[row] == (parts[every.owners[row]].folder / name).stat().st_size
    # A photo that two hosts have counts once.
    again = merged([parts[0], parts[0]], parts[0].folder)
    assert len(again) == len(parts[0])
    assert again.owners is not None
    assert again.owners.max() == 0


def test_every_epoch_takes_each_photo_once_in_steps_of_all_hosts(parts):
    every = merged(parts, parts[0].folder)
    owners = every.owners
    assert owners is not None
    hosts = (0, 0, 1)  # two processes on the first host
    processes = [DistributedContext(rank, 3, hosts=hosts) for rank in range(3)]
    orders = []
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        order = shuffled(len(every), 4, generator, 2, owners)
        orders.append(np.concatenate(order).tolist())
        taken = []
        for batch in order:
            shares = [process.share(batch, 1, owners) for process in processes]
            for process, share in zip(processes, shares, strict=True):
                assert (owners[share] == process.host).all()
            taken += np.concatenate(shares).tolist()
            # each host's share of the photos, rounded to whole ones
            assert abs((owners[batch] == 0).mean() - 10 / 15) <= 0.5
        assert sorted(taken) == list(range(15))
    assert orders[0] != orders[1]
    dealt = processes[0].deal([np.arange(8), np.arange(8, 15)], owners)
    assert sorted(np.concatenate([np.concatenate(part) for part in dealt])) == list(range(15))
    assert all(
        (owners[np.concatenate(part)] == hosts[rank]).all() for rank, part in enumerate(dealt)
    )


def test_the_channels_are_those_of_all_hosts(parts, tmp_path):
    shutil.copytree(parts[0].folder, tmp_path / "v")
    folders = {"train": parts[0].folder, "validation": tmp_path / "v"}
    shared = SharedOut(frozenset({"train"}), lambda own: [own, parts[1]])
    found = read_channels(folders, SPLIT, 0, shared_out=shared)
    assert len(found.train) == 15
    assert len(found.on_host(0).train) == 10
    assert len(found.on_host(1).train) == 5
    assert len(found.on_host(1).validation) == len(found.validation) == 10
    assert {label for (label,) in found.on_host(1).train.labels} == {0, 1}
    other = SharedOut(frozenset({"train"}), lambda own: [parts[0], own])
    theirs = read_channels(folders | {"train": parts[1].folder}, SPLIT, 0, shared_out=other)
    assert theirs.fingerprint == found.fingerprint


@pytest.mark.parametrize(
    "names, channels, split, several, sentence",
    [
        ({"validation"}, ["train", "validation"], SPLIT, False, "measures the model on all valid"),
        ({"train"}, ["train"], SPLIT, False, "no validation photos can be split off it; give a"),
        ({"train"}, ["train", "validation"], SPLIT, True, "multi_label compares the files of all"),
        ({"train"}, ["train"], (1.0, 0.0, 0.0), False, ""),
    ],
)
def test_what_needs_all_photos_is_refused(parts, names, channels, split, several, sentence):
    folders = {"train": parts[0].folder, "validation": parts[0].folder.parent / "host-1"}
    given = {name: folders[name] for name in channels}
    shared = SharedOut(frozenset(names), lambda own: [own])
    if not sentence:
        assert len(read_channels(given, split, 0, (), several, shared).train) == 10
        return
    with pytest.raises(JobError, match=sentence):
        read_channels(given, split, 0, (), several, shared)


def share_out(jobs: list[Job], *channels: str) -> None:
    """Leave each host its part of these channels' photos, by their sorted keys but for two."""
    config = {"train": {"S3DistributionType": "FullyReplicated"}}
    for channel in channels:
        config[channel] = {"S3DistributionType": "ShardedByS3Key"}
        for number, job in enumerate(jobs):
            paths = sorted((job.root / "input/data" / channel).rglob("*.jpg"))
            kept = set(paths[number :: len(jobs)])
            if number == 0:
                kept |= set(paths[1:4:2])  # the first host has two more
            else:
                kept -= set(paths[1:4:2])
            for path in set(paths) - kept:
                path.unlink()
    for job in jobs:
        (job.root / "input/config/inputdataconfig.json").write_text(json.dumps(config))


def hosts_with_parts(tmp_path: Path, *channels: str, **settings: object) -> list[Job]:
    photos = {"train": 7, "validation": 5, "test": 2}
    jobs = [make_job(tmp_path / host, photos, **settings) for host in HOSTS]
    for job in jobs:
        name_hosts(job, job.root.name)
    share_out(jobs, *channels)
    return jobs


def run(jobs: list[Job]) -> list[tuple[int, str]]:
    return [ended(process, 240) for process in start_hosts(jobs)]


@pytest.mark.verify
def test_two_hosts_solve_the_head_of_all_their_photos(tmp_path):
    settings = {"trainable": "head", "optimizer": "lbfgs", "precision": "float32"}
    one = make_job(tmp_path / "one", {"train": 7, "validation": 5, "test": 2}, **settings)
    train_job(one)
    jobs = hosts_with_parts(tmp_path, "train", **settings)
    outs = []
    for code, out in run(jobs):
        assert code == 0, out
        outs.append(out)
    assert shared_out_channels(jobs[0]) == {"train"}
    np.testing.assert_allclose(history(jobs[0].root), history(one.root), rtol=1e-3, atol=1e-5)
    # What is known, and which labels are in doubt, is said by all hosts' photos.
    alone, together = (read_description(job.model) for job in (one, jobs[0]))
    means = [read_class_means(job.model, alone) for job in (one, jobs[0])]
    torch.testing.assert_close(means[1], means[0], rtol=1e-3, atol=1e-4)
    assert together.known["threshold"] == pytest.approx(alone.known["threshold"], abs=1e-4)
    doubts = [json.loads((job.output_data / LABELS_FILE).read_text()) for job in (one, jobs[0])]
    assert doubts[1]["photos"] == doubts[0]["photos"] == 42
    # What is said by the first host's photos alone is said so.
    first = len(list((jobs[0].root / "input/data/train").rglob("*.jpg")))
    assert together.provenance["data"]["train_on_first_host"] == first
    sentence = f"drift was measured on the first host's {first} of 21"
    assert sentence in html.unescape((jobs[0].output_data / "report.html").read_text())
    assert sentence in outs[0]


@pytest.mark.verify
@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 3, "batch_size": 4, "ema_decay": 0.9, "mixup": 0.2, "augmentation": "crop"},
        {"epochs": 3, "trainable": "stage4", "feature_views": 2, "augmentation": "crop"},
        {"epochs": 2, "batch_size": 2, "quantize": "true", "frozen_statistics": "true"},
    ],
)
def test_hosts_with_unequal_parts_finish(tmp_path, settings):
    jobs = hosts_with_parts(tmp_path, "train", **settings)
    (code, out), (other_code, other_out) = run(jobs)
    assert (code, other_code) == (0, 0), out + other_out
    assert "photos: train=21 validation=15 test=6 classes=3" in out
    assert len(history(jobs[0].root)) == settings["epochs"]
    assert np.isfinite(history(jobs[0].root)).all()
    # An epoch of fewer photos would give other shares.
    share = history(jobs[0].root)[0][1] * 21
    assert share == pytest.approx(round(share), abs=1e-3)


@pytest.mark.verify
def test_held_out_photos_that_are_shared_out_are_refused(tmp_path):
    jobs = hosts_with_parts(tmp_path, "train", "validation")
    for code, out in run(jobs):
        assert code == 1, out
        assert "Traceback" not in out
    for job in jobs:
        assert "the channel 'validation' is ShardedByS3Key, but the first host" in failure(job)
