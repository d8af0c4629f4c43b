"""A job's own files, the sentences of its failures, and the request to stop."""

import errno
import signal
import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY
from train.__main__ import main, of_another_training
from train.failure import BROKEN, FAILED, disk_full, os_error, reason, report_failure
from train.job import Job, JobError
from train.stop import Stop


def write_config(job: Job, name: str, text: str) -> None:
    folder = job.root / "input/config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_job_lies_at_its_root_or_where_the_environment_says(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert Job.at().root == tmp_path
    assert Job.at(tmp_path / "other").root == tmp_path / "other"
    monkeypatch.chdir(tmp_path)
    assert Job.at("other").root == tmp_path / "other"
    with pytest.raises(JobError) as caught:
        Job.at(tmp_path / "none")
    assert str(caught.value) == (
        f"the folder '{tmp_path}/none' does not exist; "
        "mount the job there, or name another with --root"
    )


def test_the_folders_of_a_job(tmp_path):
    job = Job(tmp_path)
    assert job.channels == {}
    (tmp_path / "input/data/train").mkdir(parents=True)
    (tmp_path / "input/data/a-file").write_text("x")
    assert job.channels == {"train": tmp_path / "input/data/train"}
    assert job.model == tmp_path / "model"
    assert job.checkpoints == tmp_path / "checkpoints"
    assert job.output_data == tmp_path / "output/data"


def test_configuration_files(tmp_path):
    job = Job(tmp_path)
    assert job.hyperparameters() == {}
    write_config(job, "hyperparameters.json", '{"lr": "0.1"}')
    assert job.hyperparameters() == {"lr": "0.1"}
    write_config(job, "hyperparameters.json", "")
    assert job.hyperparameters() == {}
    write_config(job, "hyperparameters.json", "[1]")
    path = tmp_path / "input/config/hyperparameters.json"
    with pytest.raises(JobError) as caught:
        job.hyperparameters()
    assert str(caught.value) == f"'{path}' holds a list; expected an object of names and values"
    write_config(job, "hyperparameters.json", "{")
    with pytest.raises(JobError, match="is not readable JSON"):
        job.hyperparameters()
    # A folder in the file's place.
    path.unlink()
    path.mkdir()
    with pytest.raises(JobError, match="is not readable JSON"):
        job.hyperparameters()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_named_with_its_cure(tmp_path, encoding):
    path = tmp_path / "input/config/hyperparameters.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"lr": "0.1"}', encoding=encoding)
    with pytest.raises(JobError, match=r"byte order mark \(BOM\).*save it as UTF-8 without one"):
        Job(tmp_path).hyperparameters()


def test_pipe_mode_is_refused_before_anything_else(tmp_path):
    job = Job(tmp_path)
    job.refuse_pipes()
    channels = '{"train": {"TrainingInputMode": "File"}, "test": {"TrainingInputMode": "%s"}}'
    write_config(job, "inputdataconfig.json", channels % "FastFile")
    job.refuse_pipes()
    write_config(job, "inputdataconfig.json", channels % "Pipe")
    with pytest.raises(JobError, match="'test' comes in Pipe mode, .* File or FastFile"):
        job.refuse_pipes()


def test_hyperparameters_of_a_file_become_the_jobs(tmp_path):
    job = Job(tmp_path)
    (tmp_path / "best.json").write_text('{"lr": "0.1"}')
    job.take_hyperparameters(tmp_path / "best.json")
    # A job that is started again takes them again.
    job.take_hyperparameters(tmp_path / "best.json")
    assert (tmp_path / "input/config/hyperparameters.json").read_text() == '{\n  "lr": "0.1"\n}\n'
    with pytest.raises(JobError, match=f"^the file '{tmp_path}/no.json' of hyperparameters does"):
        job.take_hyperparameters(tmp_path / "no.json")


def test_sagemakers_paths_are_taken_below_the_root(tmp_path):
    # Settings name places as SageMaker mounts them.
    job = Job(tmp_path)
    assert job.path("/opt/ml/output/tensors") == tmp_path / "output/tensors"
    assert str(job.path("/opt/other")) == "/opt/other"


def test_the_failure_file(tmp_path):
    job = Job(tmp_path)
    assert job.failure() == ""
    job.forget_failure()
    # SageMaker cuts the reason at 1,024 characters.
    job.write_failure("x" * 1023 + "yz")
    assert job.failure() == "x" * 1023 + "y"
    job.write_failure("again")
    assert job.failure() == "again"
    # Another program's file need not be UTF-8.
    (tmp_path / "output/failure").write_bytes(b"\xff")
    assert job.failure() == "\ufffd"
    job.forget_failure()
    assert job.failure() == ""


NO_SPACE = OSError(errno.ENOSPC, "No space left on device", "/opt/ml/model")


@pytest.mark.parametrize(
    "error, sentence",
    [
        (JobError("our words"), "our words"),
        (
            NO_SPACE,
            "the disk is full: could not write '/opt/ml/model'; "
            "give the job more space (VolumeSizeInGB)",
        ),
        (
            OSError(errno.EDQUOT, "Quota exceeded"),
            "the disk is full; give the job more space (VolumeSizeInGB)",
        ),
        (
            OSError(errno.EACCES, "Permission denied", "a"),
            "no permission to read or write 'a' (Permission denied); "
            "the job reads its input and writes below its root",
        ),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "no permission to read or write (Read-only file system); "
            "the job reads its input and writes below its root",
        ),
        (
            OSError(errno.EPERM, "Not permitted", "a", None, "b"),
            "no permission to read or write 'b' (Not permitted); "
            "the job reads its input and writes below its root",
        ),
        (OSError(errno.EIO, "Input/output error", "a"), "Input/output error 'a'"),
        (OSError("our words"), "our words"),
        (
            MemoryError(),
            "out of memory; a smaller batch_size, image_size or model, or a larger machine, "
            "may help",
        ),
        (
            RuntimeError("CUDA out of memory. Tried"),
            "out of memory; a smaller batch_size, image_size or model, or a larger machine, "
            "may help",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "out of memory; a smaller batch_size, image_size or model, or a larger machine, "
            "may help",
        ),
        (
            ValueError("Expected more than 1 value per channel when training"),
            "batch_size=1 is too small for the batch normalisation of this model "
            "at this image_size; set 2 or more",
        ),
        (ValueError("a fault"), None),
    ],
)
def test_the_sentence_of_an_error(error, sentence):
    assert reason(error) == sentence


def chained(cause: Exception | None, context: Exception | None) -> RuntimeError:
    # Libraries raise errors of their own and keep the system's behind them.
    error = RuntimeError("a writer's own")
    error.__cause__ = cause
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    "error, found",
    [
        (chained(NO_SPACE, None), True),
        (chained(None, NO_SPACE), True),
        (chained(chained(None, NO_SPACE), None), True),
        (chained(None, None), False),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EIO, "x"), False),
    ],
)
def test_a_full_disk_behind_an_error_is_found(error, found):
    assert disk_full(error) is found
    if isinstance(error, RuntimeError):
        assert (os_error(error) is not None) is found
        assert (reason(error) is not None) is found


def test_a_failure_is_written_and_its_code_says_whose_fault_it_is(tmp_path, capsys):
    job = Job(tmp_path)
    assert report_failure(job, JobError("no photos")) == FAILED == 1
    assert job.failure() == "no photos"
    assert capsys.readouterr().err == "train: failed: no photos\n"
    assert report_failure(job, ValueError("a fault")) == BROKEN == 70
    assert job.failure() == "unexpected ValueError: a fault"
    error = capsys.readouterr().err
    assert error.startswith("ValueError: a fault\n")
    assert error.endswith("train: failed: unexpected ValueError: a fault\n")
    assert report_failure(None, JobError("no folder")) == 1


def test_a_failure_elsewhere_does_not_replace_a_reason_that_is_there(tmp_path):
    job = Job(tmp_path)
    # The other process knows the cause, this one only its effect.
    report_failure(job, JobError("of another"), first_hand=False)
    assert job.failure() == "of another"
    report_failure(job, JobError("of a third"), first_hand=False)
    assert job.failure() == "of another"
    report_failure(job, JobError("our own"))
    assert job.failure() == "our own"


def test_a_reason_that_cannot_be_written_is_on_stderr(tmp_path, capsys):
    # A file stands where the folder should be.
    (tmp_path / "output").write_text("a file")
    for first_hand in (True, False):
        assert report_failure(Job(tmp_path), JobError("no photos"), first_hand) == FAILED
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "train: failed: no photos"
        assert lines[1].startswith("train: the reason could not be written to output/failure: ")


def test_a_stop_is_requested_once_and_grows_old(monkeypatch, capfd):
    now = [50.0]
    monkeypatch.setattr("train.stop.time.monotonic", lambda: now[0])
    stop = Stop()
    assert stop() is False
    assert stop.age_s() == 0.0
    assert stop.no_time_left() is False
    stop.request()
    now[0] = 62.0
    stop.request()
    assert stop() is True
    assert stop.age_s() == 12.0
    assert stop.no_time_left() is False
    now[0] = 62.01
    assert stop.no_time_left() is True
    assert capfd.readouterr().out == "stop requested: saving and leaving\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_are_requests(number):
    """In a process of its own: a signal would also reach the threads of this one."""
    program = (
        "import os; from train.stop import Stop; stop = Stop().listen(); "
        f"os.kill(os.getpid(), {int(number)}); raise SystemExit(0 if stop() else 1)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "stop requested: saving and leaving\n"


@pytest.mark.slow
def test_another_trainings_files_stay_as_they_are(tmp_path, capsys):
    """Hyperparameters of a search, for a tree that holds the demo's training."""
    job = Job(tmp_path)
    write_config(job, "hyperparameters.json", '{"lr": "0.1", "epochs": "20", "image_size": "112"}')
    job.checkpoints.mkdir()
    (job.checkpoints / "checkpoint-20.pt").write_bytes(b"of that training")
    best = tmp_path / "best.json"
    best.write_text('{"lr": "0.2", "epochs": "6", "image_size": "64"}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["--root", str(tmp_path), "--hyperparameters", str(best)]) == 2
    said = capsys.readouterr().err
    assert "holds a training with other values of lr, image_size; give another --root" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_more_epochs_go_on_from_the_checkpoints(tmp_path):
    """As the checkpoints themselves have it: epochs do not belong to their identity."""
    job = Job(tmp_path)
    write_config(job, "hyperparameters.json", '{"lr": "0.1", "epochs": "20"}')
    job.checkpoints.mkdir()
    (job.checkpoints / "checkpoint-20.pt").write_bytes(b"of that training")
    (tmp_path / "more.json").write_text('{"learning_rate": "0.10", "epochs": "30"}')
    assert of_another_training(job, tmp_path / "more.json") == ""
