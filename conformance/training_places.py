"""Clauses on the place a training runs in: its files, its rights, its network, other hosts."""

import filecmp
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.jobs import Run
from conformance.targets import Sandbox
from conformance.trainings import Trainings, noted_input, plain
from conformance.trees import changed, files_of

ALLOWED = (
    "/opt/ml",
    "/tmp",
    "/var/tmp",
    "/run",
    "/dev",
    "/proc",
    "/sys",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
)
CACHES = re.compile(r"/(__pycache__|\.cache)(/|$)")  # made again where they are missing
SMALL_SHM_MB = 64  # a container engine's own default
USER = 1000  # without a name in the image, and without rights


@clause(TRAINING)
def read_only_input(trainings: Trainings) -> Outcome:
    """A training works with input that it can read but not write, as FastFile mounts it.

    Source: developer guide, "Access training data": FastFile is a read-only mount, written as
        File in inputdataconfig.json
    Fix: write caches, indexes and unpacked data to /tmp
    """
    return trainings.succeeds(sandbox=Sandbox(read_only=("input",)))


@clause(TRAINING)
def input_is_left_alone(trainings: Trainings) -> Outcome:
    """A training writes, changes and removes nothing below /opt/ml/input.

    Source: developer guide, "How Amazon SageMaker provides training information": /opt/ml/input
        is the platform's
    Fix: write caches, indexes and unpacked data to /tmp
    """
    root = trainings.once(plain).root
    before = noted_input(root)
    touched = changed(before, files_of(root / "input"))
    if touched:
        return Broken(f"'{touched[0]}' was changed, one of {len(touched)} files")
    return Kept(f"{len(before)} files")


@clause(TRAINING)
def writes_only_where_allowed(trainings: Trainings) -> Outcome:
    """A training writes only below /opt/ml and to folders for temporary files. SageMaker keeps
    nothing that is written elsewhere.

    Source: developer guide, "How Amazon SageMaker processes training output"; "Using your own
        training algorithms": /opt/ml is what the platform reads
    Fix: write to /opt/ml/model, /opt/ml/output/data, /opt/ml/checkpoints or /tmp
    """
    changes = trainings.once(plain).changes
    # an engine lists the folders above a changed file, too
    folders: set[str] = set()
    for path in changes:
        folders.update(str(parent) for parent in Path(path).parents)
    outside = [path for path in changes if path not in folders and not _is_allowed(path)]
    if not outside:
        return Kept()
    seen = f"it wrote {', '.join(outside[:3])}"
    if len(outside) > 3:
        seen += f" and {len(outside) - 3} more"
    return Broken(seen)


def _is_allowed(path: str) -> bool:
    if CACHES.search(path):
        return True
    return any(path == place or path.startswith(f"{place}/") for place in ALLOWED)


@clause(TRAINING)
def makes_its_own_folders(trainings: Trainings) -> Outcome:
    """A training creates output/data and checkpoints where they are missing. The platform makes
    them only for some jobs.

    Source: developer guide, "How Amazon SageMaker processes training output"; "Use checkpoints"
    Fix: os.makedirs(folder, exist_ok=True) before writing
    """

    def remove(root: Path) -> None:
        (root / "output" / "data").rmdir()
        (root / "checkpoints").rmdir()

    return trainings.succeeds(prepare=remove)


@clause(TRAINING)
def trains_without_network(trainings: Trainings) -> Outcome:
    """A job trains under network isolation. It downloads nothing while it runs.

    Source: CreateTrainingJob, EnableNetworkIsolation; developer guide, "Run training and
        inference containers in internet-free mode"
    Fix: put weights and packages into the image, outside /opt/ml, or pass them as a channel
    """
    return trainings.succeeds(sandbox=Sandbox(outside=False))


@clause(TRAINING)
def trains_without_credentials(trainings: Trainings) -> Outcome:
    """A job trains without AWS credentials, as under network isolation.

    Source: developer guide, "Run training and inference containers in internet-free mode": no
        credentials are made available to the container
    Fix: call no AWS service where there are no credentials
    """
    return trainings.succeeds(sandbox=Sandbox(credentials=False))


@clause(TRAINING)
def small_shared_memory(trainings: Trainings) -> Outcome:
    """A job trains with a /dev/shm of 64 MB, a container engine's own default.

    Source: sagemaker-python-sdk issues 937, 3331 and 5592: bus errors of data loaders
    Fix: use fewer workers, or none, to load data where /dev/shm is small, or set
        torch.multiprocessing's sharing strategy to file_system
    """
    return trainings.succeeds(sandbox=Sandbox(shm_mb=SMALL_SHM_MB))


@clause(TRAINING)
def runs_without_root(trainings: Trainings) -> Outcome:
    """A user without a name and without rights can train, in a tree that this user owns.

    Source: developer guide, "Troubleshoot serverless inference": containers run with fewer
        rights; clusters that refuse root
    Fix: make the program's files readable for all users, set HOME to a folder that all users may
        write, such as /tmp, and bind no port below 1024
    """

    def give_away(root: Path) -> None:
        for path in [root, *root.rglob("*")]:
            os.chown(path, USER, USER)

    if trainings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    try:
        return trainings.succeeds(sandbox=Sandbox(user=USER), prepare=give_away)
    except PermissionError:
        return NotApplicable("only root can give a tree to another user")


@clause(TRAINING)
def two_hosts(trainings: Trainings) -> Outcome:
    """Two hosts find each other by resourceconfig.json, and both end with code 0.

    Source: developer guide, "Distributed training configuration"; CreateTrainingJob,
        ResourceConfig.InstanceCount
    Fix: take hosts and current_host from resourceconfig.json, and wait until the other hosts'
        names resolve
    """
    failed = [run for run in trainings.once(_on_two_hosts) if run.code != 0]
    if failed:
        first = failed[0]
        return Broken(f"{len(failed)} of 2 hosts failed; one {first.ended()}: {first.tail()}")
    return Kept()


@clause(TRAINING)
def two_hosts_do_not_overwrite(trainings: Trainings) -> Outcome:
    """Two hosts leave no files in /opt/ml/model that have the same name and different contents.
    SageMaker packs the files of all hosts into one archive.

    Source: developer guide, "How Amazon SageMaker processes training output": all hosts' files
        are aggregated into one tar
    Fix: let only the first host write the model, or put current_host into the files' names
    """
    first, second = trainings.once(_on_two_hosts)
    if first.code or second.code:
        return NotApplicable("two hosts fail; see two_hosts")
    theirs = {path.relative_to(second.root): path for path in second.model if path.is_file()}
    for path in first.model:
        name = path.relative_to(first.root)
        if not path.is_file() or name not in theirs:
            continue
        if not filecmp.cmp(path, theirs[name], shallow=False):
            return Broken(f"both hosts wrote '{name}', with different contents")
    return Kept()


def _on_two_hosts(trainings: Trainings) -> tuple[Run, Run]:
    """The plain job on two hosts, side by side, in a network of their own."""
    trainings.once(plain)
    target = trainings.target
    hosts = tuple(target.hosts(2))
    network = target.network(f"{trainings.work.parent.name}-two", isolated=True)
    rendezvous = target.rendezvous(len(hosts))
    roots = [trainings.lay_out(host=host, hosts=hosts) for host in hosts]

    def run(root: Path, host: str) -> Run:
        sandbox = Sandbox(host=host, network=network, environment=rendezvous)
        return trainings.run(root, sandbox)

    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(run, roots, hosts)
    finally:
        target.remove_network(network)
    return first, second
