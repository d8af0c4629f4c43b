"""From an exception to the one sentence a user reads, in the log and in output/failure."""

import errno
import sys
import traceback

from artifact.model import ArtifactError
from artifact.preprocessing import PhotoError
from train.job import Job, JobError

SUCCEEDED, FAILED, BROKEN = (
    0,
    1,
    70,
)  # 70: a fault of this program, not of its input (sysexits' EX_SOFTWARE)


def report_failure(job: Job | None, error: Exception, first_hand: bool = True) -> int:
    """Tell the reason on stderr and in the job's failure file; the traceback only for what no user can mend. The exit code.

    first_hand: False for a failure elsewhere, which does not take the place of a reason that is there.
    """
    sentence = reason(error)
    if sentence is None:
        traceback.print_exception(error)
    text = sentence or f"unexpected {type(error).__name__}: {error}"
    print(f"train: failed: {text}", file=sys.stderr, flush=True)
    if job:
        try:
            if first_hand or not job.failure():
                job.write_failure(text)
        except OSError as second:
            print(
                f"train: the reason could not be written to output/failure: {second}",
                file=sys.stderr,
                flush=True,
            )
    return FAILED if sentence else BROKEN


def reason(error: BaseException) -> str | None:
    """The sentence for an error whose cause lies outside this program; None for any other."""
    if isinstance(error, (JobError, PhotoError, ArtifactError)):
        return str(error)
    if isinstance(error, OSError):
        where = f" '{error.filename2 or error.filename}'" if error.filename else ""
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                return f"the disk is full{f': could not write{where}' if where else ''}; give the job more space (VolumeSizeInGB)"
            case errno.EACCES | errno.EPERM | errno.EROFS:
                return f"no permission to read or write{where} ({error.strerror}); the job reads its input and writes below its root"
            case _:
                return f"{error.strerror or error}{where}"
    if (
        isinstance(error, MemoryError)
        or "out of memory" in str(error)
        or "can't allocate memory" in str(error)
    ):
        return "out of memory; a smaller batch_size, image_size or model, or a larger machine, may help"
    if "Expected more than 1 value per channel" in str(error):
        return "batch_size=1 is too small for the batch normalisation of this model at this image_size; set 2 or more"
    # torch's writers wrap the operating system's error in one of their own
    inner = error.__cause__ or error.__context__
    return reason(inner) if inner is not None else None


def os_error(error: BaseException | None) -> OSError | None:
    """The operating system's error in an error or behind it; None where there is none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def disk_full(error: BaseException) -> bool:
    """Whether an error means that there was no room."""
    cause = os_error(error)
    return cause is not None and cause.errno in (errno.ENOSPC, errno.EDQUOT)
