"""What sagemaker-training's `train` command calls in its own process (SAGEMAKER_TRAINING_MODULE=train.sagemaker:main).

Without a user script it trains with ours; with `sagemaker_program` it runs the user's, as the toolkit does, but
passes SIGTERM on and keeps the script's own words as the failure reason.
"""

import os
import shlex
import signal
import sys

import psutil

from train.__main__ import main as train_main
from train.failure import FAILED, SUCCEEDED
from train.job import Job


def main() -> None:
    """Train, and end the process on failure: the toolkit would report success when its failure file can't be written."""
    code = run_user_script() if _user_program() else train_main([])
    if code != SUCCEEDED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_user_script() -> int:
    """Run the script of `sagemaker_program` by the toolkit's own means; its exit code becomes 0 or 1."""
    from sagemaker_training import entry_point, environment, errors

    settings = environment.Environment()
    if len(settings.hosts) == 1:
        os.environ["SM_STUDIO_LOCAL_MODE"] = "true"  # else the toolkit waits up to 15 minutes until its own name resolves
    stopped = []

    def pass_on(number: int, _) -> None:
        stopped.append(number)
        for child in psutil.Process().children(recursive=True):
            child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    try:
        # with captured errors the toolkit joins the words to a shell line, so each must be quoted
        entry_point.run(settings.module_dir, settings.user_entry_point, [shlex.quote(word) for word in settings.to_cmd_args()],
                        settings.to_env_vars(), capture_error=True)
    except errors.ClientError as error:
        if stopped:
            print(f"train: the user script was stopped and left with code {error.return_code}", flush=True)
        _write_reason(str(error))
        return FAILED
    return SUCCEEDED


def _user_program() -> bool:
    names = {name.replace("-", "_") for name in Job.at().hyperparameters()}
    return "sagemaker_program" in names or "SAGEMAKER_PROGRAM" in os.environ


def _write_reason(reason: str) -> None:
    print(f"train: failed: {reason}", file=sys.stderr, flush=True)
    try:
        Job.at().write_failure(reason)
    except OSError as error:
        print(f"train: the reason could not be written to output/failure: {error}", file=sys.stderr, flush=True)
