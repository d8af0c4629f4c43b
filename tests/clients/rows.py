"""What the scripts of the clients' environments share: rows of the table, and where things lie.

It runs in those environments, on the standard library alone.
"""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

MARK = "ROWS "  # before the rows, on the last line that a script prints
WORKS = "works"
ACCOUNT = "123456789012"
REGION = os.environ.get("AWS_REGION", "")
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
TRAIN_IMAGE = f"{HOST}/slipway-train:latest"
SERVE_IMAGE = f"{HOST}/slipway-serve:latest"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SlipwayRole"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"  # default_bucket() of both SDKs
PHOTOS = f"s3://{BUCKET}/photos"  # three colours
MODEL = f"s3://{BUCKET}/made/model.tar.gz"  # knows them
SCRIPT = Path(__file__).with_name("own_script.py")  # a user's, for the training image
# A network of a second or two.
TINY = {
    **{"model": "shufflenet_v2_x0_5", "weights": "none", "trainable": "all", "image_size": "32"},
    **{"resize": "36", "epochs": "1", "batch_size": "8", "lr": "0.005", "augmentation": "none"},
    **{"optimizer": "adamw", "quantize": "false"},
}
METRIC = {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}
_rows: list[list[str]] = []


@contextmanager
def row(call: str) -> Iterator[None]:
    """One row: the call, and what came of it. An error ends the block, not the script."""
    began = time.monotonic()
    try:
        yield
        _rows.append([call, WORKS])
    except Exception as error:
        traceback.print_exc()
        first = str(error).partition("\n")[0][:200]
        _rows.append([call, f"{type(error).__name__}: {first}"])
    print(f"{call}: {_rows[-1][1]} after {time.monotonic() - began:.1f} s", flush=True)


def tell() -> NoReturn:
    """Print the rows: the end of each script, also where a thread of the SDK's still waits."""
    print(MARK + json.dumps(_rows), flush=True)
    os._exit(0)


def photo() -> bytes:
    """A red photo's file."""
    with open(os.environ["PHOTO"], "rb") as file:
        return file.read()


def until(condition: Callable[[], Any], timeout_s: float = 300) -> Any:
    """The first true value of the condition."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"it did not come within {timeout_s} s")
