"""SDK v2's local mode: it runs our images by itself, and needs S3 for the code alone."""

import shutil
import socket
from pathlib import Path

from rows import ROLE, SCRIPT, TINY, photo, row, tell
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import IdentitySerializer

session = LocalSession()
with socket.socket() as asked:  # a port that is free now
    asked.bind(("127.0.0.1", 0))
    PORT = asked.getsockname()[1]
session.config = {"local": {"local_code": True, "serving_port": PORT}}
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

with row("Model.deploy of slipway-serve, instance_type=local, Predictor.predict"):
    model = Model(
        "slipway-serve:latest",
        f"file://{HERE}/model.tar.gz",
        ROLE,
        predictor_cls=Predictor,
        sagemaker_session=session,
    )
    predictor = model.deploy(
        1,
        "local",
        serializer=IdentitySerializer("image/jpeg"),
        deserializer=JSONDeserializer(),
    )
    assert predictor.predict(photo())["predictions"][0]["label"] == "red"
    predictor.delete_endpoint()

tell()
