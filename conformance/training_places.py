"""Clauses on the place a training runs in: what it may read and write, what is missing there, other hosts; and on what it prints."""

import filecmp
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.targets import Sandbox
from conformance.trainings import Run, Trainings, listed, plain, remembered_input

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
CACHES = re.compile(r"/(__pycache__|\.cache)(/|$)")  # made anew where they are missing
METRICS, NAME_LENGTH, REGEX_LENGTH = 40, 255, 500
ESCAPE = re.compile(r"\x1b\[")
SMALL_SHM_MB = 64


@clause(TRAINING)
def read_only_input(trainings: Trainings) -> Outcome:
    """Input that can only be read, as FastFile mounts it, is enough.

    Source: developer guide, "Access training data": FastFile is a read-only mount, written as File in inputdataconfig.json
    Fix: write caches, indexes and unpacked data to /tmp
    """
    return trainings.succeeds(Sandbox(read_only=("input",)))


@clause(TRAINING)
def input_is_left_alone(trainings: Trainings) -> Outcome:
    """Nothing below /opt/ml/input is written, changed or removed.

    Source: developer guide, "How Amazon SageMaker provides training information": /opt/ml/input is the platform's
    Fix: write caches, indexes and unpacked data to /tmp
    """
    root = trainings.once(plain).root
    before, after = remembered_input(root), listed(root / "input")
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return (
        Broken(f"'{sorted(changed)[0]}' and so {len(changed)} files are not as they were")
        if changed
        else Kept(f"{len(before)} files")
    )


@clause(TRAINING)
def writes_only_where_allowed(trainings: Trainings) -> Outcome:
    """Nothing is written outside /opt/ml and the places for what is temporary: it is neither kept nor measured.

    Source: developer guide, "How Amazon SageMaker processes training output"; "Using your own training algorithms": /opt/ml is what the platform reads
    Fix: write to /opt/ml/model, /opt/ml/output/data, /opt/ml/checkpoints or /tmp
    """
    changes = trainings.once(plain).changes
    folders = {str(parent) for path in changes for parent in Path(path).parents}
    outside = [
        path
        for path in changes
        if not (
            path in folders
            or CACHES.search(path)
            or any(path == place or path.startswith(f"{place}/") for place in ALLOWED)
        )
    ]
    return (
        Broken(
            f"it wrote {', '.join(outside[:3])}{f' and {len(outside) - 3} more' if len(outside) > 3 else ''}"
        )
        if outside
        else Kept()
    )


@clause(TRAINING)
def makes_its_own_folders(trainings: Trainings) -> Outcome:
    """output/data and checkpoints, which the platform makes only for some jobs, are made where they are missing.

    Source: developer guide, "How Amazon SageMaker processes training output"; "Use checkpoints"
    Fix: os.makedirs(folder, exist_ok=True) before writing
    """

    def remove(root: Path) -> None:
        (root / "output" / "data").rmdir()
        (root / "checkpoints").rmdir()

    return trainings.succeeds(prepare=remove)


@clause(TRAINING)
def trains_without_network(trainings: Trainings) -> Outcome:
    """Under network isolation a job trains: nothing is fetched when it runs.

    Source: CreateTrainingJob, EnableNetworkIsolation; developer guide, "Run training and inference containers in internet-free mode"
    Fix: bake weights and packages into the image, outside /opt/ml, or bring them as a channel
    """
    return trainings.succeeds(Sandbox(outside=False))


@clause(TRAINING)
def trains_without_credentials(trainings: Trainings) -> Outcome:
    """Without AWS credentials, as under network isolation, a job trains.

    Source: developer guide, "Run training and inference containers in internet-free mode": no credentials are made available to the container
    Fix: call no AWS service where there are no credentials
    """
    return trainings.succeeds(Sandbox(credentials=False))


@clause(TRAINING)
def small_shared_memory(trainings: Trainings) -> Outcome:
    """A /dev/shm of 64 MB, a container engine's own default, is enough.

    Source: sagemaker-python-sdk issues 937, 3331 and 5592: bus errors of data loaders
    Fix: load data with fewer or no workers where /dev/shm is small, or set torch.multiprocessing's sharing strategy to file_system
    """
    return trainings.succeeds(Sandbox(shm_mb=SMALL_SHM_MB))


@clause(TRAINING)
def runs_without_root(trainings: Trainings) -> Outcome:
    """A user without a name or rights can train on a tree that is its own.

    Source: developer guide, "Troubleshoot serverless inference": containers run with fewer rights; clusters that refuse root
    Fix: make what the program reads readable for all, set HOME to a place that all may write, such as /tmp, and bind no port below 1024
    """

    def give(root: Path) -> None:
        for path in [root, *root.rglob("*")]:
            os.chown(path, 1000, 1000)

    if trainings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    try:
        return trainings.succeeds(Sandbox(user=1000), give)
    except PermissionError:
        return NotApplicable("only root can give a tree to another user")


@clause(TRAINING)
def two_hosts(trainings: Trainings) -> Outcome:
    """On two hosts, which find each other in resourceconfig.json, both end with code 0.

    Source: developer guide, "Distributed training configuration"; CreateTrainingJob, ResourceConfig.InstanceCount
    Fix: take hosts and current_host from resourceconfig.json, and wait until the others' names resolve
    """
    failed = [run for run in trainings.once(_on_two_hosts) if run.code != 0]
    return (
        Broken(f"{len(failed)} of 2 hosts failed; one {failed[0].ended()}: {failed[0].tail()}")
        if failed
        else Kept()
    )


@clause(TRAINING)
def two_hosts_do_not_overwrite(trainings: Trainings) -> Outcome:
    """What two hosts leave in /opt/ml/model goes into one archive: no file of one name with two contents.

    Source: developer guide, "How Amazon SageMaker processes training output": all hosts' files are aggregated into one tar
    Fix: let the first host alone write the model, or put current_host into the files' names
    """
    first, second = trainings.once(_on_two_hosts)
    if first.code or second.code:
        return NotApplicable("two hosts fail; see two_hosts")
    theirs = {path.relative_to(second.root): path for path in second.model if path.is_file()}
    same = [
        name
        for path in first.model
        if path.is_file()
        and (name := path.relative_to(first.root)) in theirs
        and not filecmp.cmp(path, theirs[name], shallow=False)
    ]
    return Broken(f"'{same[0]}' is of both hosts, with two contents") if same else Kept()


@clause(TRAINING)
def metric_definitions(trainings: Trainings) -> Outcome:
    """At most 40 metrics, with names of at most 255 and regular expressions of at most 500 characters and a group for the number.

    Source: CreateTrainingJob, MetricDefinition
    Fix: shorten names and expressions, and put (…) around the number
    """
    _declared(trainings)
    faults = [
        f"{name[:40]} has {len(name)} characters"
        for name in trainings.job.metrics
        if len(name) > NAME_LENGTH
    ]
    faults += [
        f"the expression of {name[:40]} has {len(regex)} characters"
        for name, regex in trainings.job.metrics.items()
        if len(regex) > REGEX_LENGTH
    ]
    faults += [
        f"the expression of {name[:40]} has no group"
        for name, pattern in zip(trainings.job.metrics, trainings.patterns)
        if not pattern.groups
    ]
    faults += [f"there are {len(trainings.patterns)}"] if len(trainings.patterns) > METRICS else []
    return Broken("; ".join(faults)) if faults else Kept(f"{len(trainings.patterns)} metrics")


@clause(TRAINING)
def metric_lines(trainings: Trainings) -> Outcome:
    """Every declared regular expression finds a number in what a training prints.

    Source: CreateTrainingJob, MetricDefinition.Regex; developer guide, "Define metrics"
    Fix: print a line that the expression matches, such as name=value, or fix the expression
    """
    _declared(trainings)
    if not all(pattern.groups for pattern in trainings.patterns):
        return NotApplicable("an expression has no group; see metric_definitions")
    found, lines = trainings.measured(trainings.once(plain)), len(trainings.once(plain).lines)
    for name, regex in trainings.job.metrics.items():
        if name not in found:
            return Broken(f"'{regex}' of {name} finds no number in {lines} lines")
    return Kept(", ".join(f"{name} {entry['Value']:g}" for name, entry in found.items()))


@clause(TRAINING)
def log_is_flat(trainings: Trainings) -> Outcome:
    """Output is lines: no carriage returns of progress bars, no colours, for the log and the metrics are read line by line.

    Source: developer guide, "Log Amazon SageMaker events with Amazon CloudWatch"
    Fix: turn off progress bars and colours, for instance by tqdm's disable=True; print one line an epoch
    """
    for _, line in trainings.once(plain).lines:
        if "\r" in line or ESCAPE.search(line):
            return Broken(f"it printed {line[:100]!r}")
    return Kept(f"{len(trainings.once(plain).lines)} lines")


def _declared(trainings: Trainings) -> None:
    if not trainings.patterns:
        raise Settled(
            NotApplicable(
                "no metrics are declared; name them and their expressions in --job's file, under metrics"
            )
        )


def _on_two_hosts(trainings: Trainings) -> tuple[Run, Run]:
    trainings.once(plain)
    target = trainings.target
    hosts = tuple(target.hosts(2))
    network = target.network(f"{trainings.work.parent.name}-two", isolated=True)
    roots = [trainings.lay_out(host=host, hosts=hosts) for host in hosts]
    rendezvous = target.rendezvous(len(hosts))

    def run(root: Path, host: str) -> Run:
        sandbox = Sandbox(host=host, network=network, environment=rendezvous)
        with trainings.running(root, sandbox) as (machine, run):
            trainings.wait(machine)
        return run

    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(run, roots, hosts)
    finally:
        target.remove_network(network)
    return first, second
