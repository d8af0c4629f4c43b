"""Clauses on how a training ends: with a model and code 0, or with a reason and another code."""

from pathlib import Path

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.jobs import Run
from conformance.limits import EPHEMERAL_BYTES, FAILURE_LENGTH
from conformance.targets import Sandbox
from conformance.trainings import Trainings, doom, doomed, plain


@clause(TRAINING)
def writes_a_model(trainings: Trainings) -> Outcome:
    """A training that succeeds leaves files in /opt/ml/model. SageMaker packs them into
    model.tar.gz.

    Source: developer guide, "How Amazon SageMaker processes training output"
    Fix: save the model to /opt/ml/model before the program ends
    """
    run = trainings.once(plain)
    if not run.model:
        return Broken("it is empty")
    return Kept(f"{len(run.model)} files")


@clause(TRAINING)
def model_holds_plain_files(trainings: Trainings) -> Outcome:
    """Everything in /opt/ml/model can be packed and unpacked elsewhere. It holds no sockets, no
    pipes, and no links to places outside it.

    Source: developer guide, "How Amazon SageMaker processes training output": model.tar.gz
    Fix: put copies of files into /opt/ml/model instead of links, and keep sockets and pipes in
        /tmp
    """
    run = trainings.once(plain)
    model = (run.root / "model").resolve()
    odd = [path.name for path in run.model if not _can_be_packed(path, model)]
    if not odd:
        return Kept()
    if len(odd) == 1:
        return Broken(f"'{odd[0]}' cannot be packed")
    return Broken(f"'{odd[0]}' and {len(odd) - 1} more cannot be packed")


def _can_be_packed(path: Path, model: Path) -> bool:
    if path.is_symlink():
        return path.exists() and path.resolve().is_relative_to(model)
    return path.is_file()


@clause(TRAINING)
def output_sizes(trainings: Trainings) -> Outcome:
    """The model fits on the 5 GB disk of a serverless endpoint. output/data is not larger.

    Source: developer guide, "Amazon SageMaker Serverless Inference": 5 GB of ephemeral disk
        storage
    Fix: keep in /opt/ml/model only the files that serving needs, without optimizer states and
        datasets
    """
    run = trainings.once(plain)
    sizes = {name: _size_of(run.root / name) for name in ("model", "output/data")}
    large = []
    for name, size in sizes.items():
        if size > EPHEMERAL_BYTES:
            large.append(f"{name} holds {size / 1e9:.1f} GB")
    if large:
        return Broken(" and ".join(large))
    return Kept(" ".join(f"{name}={size / 1e6:.1f}MB" for name, size in sizes.items()))


def _size_of(folder: Path) -> int:
    """Bytes of all files below a folder; links count by themselves."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


@clause(TRAINING)
def no_failure_file_after_success(trainings: Trainings) -> Outcome:
    """A training that succeeds leaves no /opt/ml/output/failure.

    Source: developer guide, "Signal success and failure": the failure file is for training jobs
        that fail
    Fix: write the file only before the program ends with a non-zero code
    """
    failure = trainings.once(plain).failure
    if failure is not None:
        return Broken(f"it left one that says {failure[:100]!r}")
    return Kept()


@clause(TRAINING)
def failure_exit_code(trainings: Trainings) -> Outcome:
    """A training that cannot succeed ends by itself, and not with code 0. Here its channels are
    empty and its hyperparameters cannot be read.

    Source: developer guide, "Signal success and failure": a non-zero exit code
    Fix: let every error end the program with a non-zero code; a shell script needs set -e, and a
        launcher must pass on its child's code
    """
    run = trainings.once(doomed)
    if run.code == 0 and run.model:
        return NotApplicable("it can: it leaves a model all the same")
    return _failed(run)


@clause(TRAINING)
def failure_file(trainings: Trainings) -> Outcome:
    """A training that fails leaves its reason in /opt/ml/output/failure.

    Source: developer guide, "Signal success and failure"; sagemaker-python-sdk issues 1225 and
        4588: ErrorMessage ""
    Fix: catch the error in the outermost function and write one sentence to
        /opt/ml/output/failure
    """
    reason = _failed_run(trainings).failure
    if reason is None:
        return Broken("the file does not exist")
    if not reason.strip():
        return Broken("it is empty")
    return Kept(repr(reason[:100].decode(errors="replace")))


@clause(TRAINING)
def failure_file_length(trainings: Trainings) -> Outcome:
    """The reason has at most 1024 characters. SageMaker cuts off the rest, and with it the
    sentence at the end of a traceback.

    Source: DescribeTrainingJob, FailureReason: max 1024
    Fix: write one sentence, not the traceback; the traceback belongs into the log
    """
    length = len(_reason(trainings).decode(errors="replace"))
    if length > FAILURE_LENGTH:
        return Broken(f"{length} characters")
    return Kept(f"{length} characters")


@clause(TRAINING)
def failure_file_is_text(trainings: Trainings) -> Outcome:
    """The reason is UTF-8 text that people can read.

    Source: DescribeTrainingJob, FailureReason: a string
    Fix: write the file as UTF-8 text
    """
    try:
        text = _reason(trainings).decode()
    except UnicodeDecodeError as error:
        return Broken(f"it is not UTF-8: {error}")
    for letter in text:
        if not letter.isprintable() and letter not in "\n\r\t":
            return Broken(f"it holds {letter!r}")
    return Kept()


@clause(TRAINING)
def failure_without_a_failure_file(trainings: Trainings) -> Outcome:
    """A training that fails ends with a code other than 0, even where it cannot write its reason.

    Source: developer guide, "Signal success and failure"; sagemaker-training 4.9.0 ends with 0
        there
    Fix: write the file inside a try, and end with the non-zero code all the same
    """
    if trainings.once(doomed).code == 0:
        return NotApplicable("the job that must fail does not fail; see failure_exit_code")
    run = trainings.run(trainings.lay_out(), Sandbox(read_only=("output",)), doom)
    return _failed(run)


def _failed(run: Run) -> Outcome:
    if run.code is None:
        return Broken(f"it ran on for {run.seconds:.0f} s")
    if run.code == 0:
        return Broken("it ended with code 0: the job would be Completed")
    return Kept(f"code {run.code}")


def _failed_run(trainings: Trainings) -> Run:
    """The job that must fail. Settled as not applicable where it does not."""
    run = trainings.once(doomed)
    if run.code == 0 or run.code is None:
        why = "the job that must fail does not fail; see failure_exit_code"
        raise Settled(NotApplicable(why))
    return run


def _reason(trainings: Trainings) -> bytes:
    """The failure file's content. Settled as not applicable without content."""
    reason = _failed_run(trainings).failure or b""
    if not reason.strip():
        raise Settled(NotApplicable("the job left no reason; see failure_file"))
    return reason
