"""Why a job ends before its work is done, in the words of its FailureReason."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from local_sagemaker.objects import ObjectError
from local_sagemaker.platform import Platform
from runtime.errors import RunError

ENDED = ("Completed", "Failed", "Stopped")  # statuses of a job that runs no more
CLOSING = "closing"  # the reason for a stop: this server ends
REASON_LENGTH = 1024  # characters that SageMaker keeps of a FailureReason
SERVER_ENDED = "InternalServerError: the local server ended while the job ran"
SERVER_STOPPED = "InternalServerError: the local server was stopped while the job ran"


class JobFailed(Exception):
    """A job that cannot go on; the text is its FailureReason."""


def algorithm_failed(words: str, code: int) -> JobFailed:
    """The end of a container that failed, in its own words; however many, the code is shown."""
    end = f", exit code: {code}"
    return JobFailed(f"AlgorithmError: {words}"[: REASON_LENGTH - len(end)] + end)


@contextmanager
def uploading() -> Iterator[None]:
    """Says of an object that cannot be written that it was not a download."""
    try:
        yield
    except ObjectError as error:
        raise JobFailed(f"ClientError: Artifact upload failed:{error}") from error


def failure_reason(error: Exception) -> str:
    """The FailureReason for an error that ended a job."""
    if isinstance(error, JobFailed):
        reason = str(error)
    elif isinstance(error, ObjectError):
        reason = f"ClientError: Data download failed:{error}"
    elif isinstance(error, RunError):
        reason = f"ClientError: {error}"
    else:
        reason = internal_error(error)
    return reason[:REASON_LENGTH]


def internal_error(error: Exception) -> str:
    """The FailureReason for a fault of this server. It must be seen in the job, beside the log."""
    return f"InternalServerError: {type(error).__name__}: {error}"[:REASON_LENGTH]


def fail_unfinished(platform: Platform, kind: str, name: str) -> None:
    """Let all jobs of a kind that had not ended be Failed, after the server's restart.

    name: of the kind in its fields, such as Transform.
    """
    for record in platform.store.all(kind):
        if record[f"{name}JobStatus"] not in ENDED:
            changed = {
                f"{name}JobStatus": "Failed",
                f"{name}EndTime": time.time(),
                "FailureReason": SERVER_ENDED,
            }
            platform.store.change(kind, record[f"{name}JobName"], **changed)
