"""SDK v2's local mode: it runs our images by itself, and needs S3 for the code alone."""

import shutil
from pathlib import Path

from rows import ROLE, SCRIPT, TINY, row, tell
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.pytorch import PyTorch

session = LocalSession()
session.config = {"local": {"local_code": True}}
HERE = Path.cwd()
TRAIN = "slipway-train:latest"  # the engine's own names: nothing is pulled

with row("Estimator.fit, instance_type=local"):
    estimator = Estimator(
        TRAIN,
        ROLE,
        instance_count=1,
        instance_type="local",
        hyperparameters=TINY,
        output_path=f"file://{HERE}/local-output",
        sagemaker_session=session,
    )
    estimator.fit({name: f"file://{HERE}/photos/{name}" for name in ("train", "validation")})
    assert (HERE / "local-output" / "model.tar.gz").is_file()

with row("PyTorch.fit of a script, instance_type=local"):
    code = HERE / "local-code"
    code.mkdir()
    shutil.copy(SCRIPT, code / "mine.py")
    script = PyTorch(
        entry_point="mine.py",
        source_dir=str(code),
        image_uri=TRAIN,
        role=ROLE,
        instance_count=1,
        instance_type="local",
        output_path=f"file://{HERE}/local-script",
        sagemaker_session=session,
    )
    script.fit({"training": f"file://{HERE}/photos/train"})

tell()
