"""SDK v2: a script's model.pth, served by its own inference.py in slipway-serve-mms-torch."""

import shutil
from pathlib import Path

import sagemaker
from rows import HOST, PHOTOS, ROLE, SCRIPT, TRAIN_IMAGE, photo, row, tell
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.serializers import IdentitySerializer

SERVE = f"{HOST}/slipway-serve-mms-torch:latest"
CODE = Path("own-network")
CODE.mkdir(exist_ok=True)
shutil.copy(SCRIPT, CODE / "mine.py")
# As the SDK's examples have it, for the script's network of three mean colours.
(CODE / "inference.py").write_text(
    """
import io, os
import numpy as np
import torch
from PIL import Image

def model_fn(model_dir):
    network = torch.nn.Linear(3, 3)
    network.load_state_dict(torch.load(os.path.join(model_dir, "model.pth"), weights_only=True))
    return network.eval()

def input_fn(request_body, content_type):
    photo = Image.open(io.BytesIO(request_body)).convert("RGB")
    return torch.tensor(np.asarray(photo).mean((0, 1)) / 255, dtype=torch.float32)[None]

def predict_fn(data, model):
    with torch.inference_mode():
        return torch.softmax(model(data), 1)
""",
    encoding="utf-8",
)

with row("PyTorch.fit of a script that saves model.pth"):
    estimator = PyTorch(
        entry_point="mine.py",
        source_dir=str(CODE),
        image_uri=TRAIN_IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"epochs": 100, "lr": 5},
        disable_profiler=True,
        debugger_hook_config=False,
    )
    estimator.fit({"training": f"{PHOTOS}/train"}, logs=False)

with row("PyTorchModel.deploy of model.pth and inference.py, Predictor.predict"):
    model = PyTorchModel(
        model_data=estimator.model_data,
        role=ROLE,
        entry_point="inference.py",
        source_dir=str(CODE),
        image_uri=SERVE,
        sagemaker_session=sagemaker.Session(),
    )
    predictor = model.deploy(
        1,
        "ml.m5.large",
        serializer=IdentitySerializer("image/jpeg"),
        deserializer=JSONDeserializer(),
    )
    [found] = predictor.predict(photo())
    assert found.index(max(found)) == 2, "red is the third of blue, green, red"

with row("Predictor.predict of no photo: ModelError"):
    try:
        predictor.predict(b"no photo")
    except predictor.sagemaker_session.sagemaker_runtime_client.exceptions.ModelError:
        pass
    else:
        raise AssertionError("it was answered")

predictor.delete_model()
predictor.delete_endpoint()
tell()
