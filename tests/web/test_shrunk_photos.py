"""A photo that the page has shrunk in the browser gets the label of the photo itself."""

import base64
import io
import json

import pytest
from PIL import Image

from artifact.engines.choice import open_engine
from artifact.model import read_description
from artifact.photos.decoder import decode
from local_test.figure import POSES
from local_test.stick_figures import picture
from train.job import Job

pytestmark = [pytest.mark.verify, pytest.mark.training]
TRAINED = 40  # photos of each pose to learn from
PHOTOS = 1000  # that nothing was learnt from
LONGER_SIDE = 2000  # pixels; the page shrinks above 1600
AT_MOST = 0.005  # share of photos whose label may change
# the photo of a base64 text as the page would send it
PREPARED = """(async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const file = new File([bytes], "photo.jpg", { type: "image/jpeg" });
  const sent = new Uint8Array(await (await prepared(file)).blob.arrayBuffer());
  let binary = "";
  for (const byte of sent) binary += String.fromCharCode(byte);
  return btoa(binary);
})"""
HYPERPARAMETERS = {
    "model": "timm/tf_efficientnet_lite0",
    "weights": "imagenet",
    "trainable": "head",
    "image_size": "224",
    "quantize": "false",
}


def large(pose: str, number: int, seed: int) -> bytes:
    """A drawn photo as a phone takes it: larger than the page sends."""
    drawn = picture(pose, number, seed)
    scale = LONGER_SIDE / max(drawn.size)
    size = (round(drawn.width * scale), round(drawn.height * scale))
    stream = io.BytesIO()
    drawn.resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> Job:
    """A finished training on large drawn poses."""
    from tests.support.jobs import train_job

    root = tmp_path_factory.mktemp("poses")
    for seed, (channel, count) in enumerate({"train": TRAINED, "validation": 4}.items()):
        for pose in POSES:
            folder = root / "input" / "data" / channel / pose
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.jpg").write_bytes(large(pose, number, seed))
    (root / "input" / "config").mkdir()
    (root / "input/config/hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    job = Job(root)
    train_job(job)
    return job


def test_shrinking_in_the_browser_changes_hardly_any_label(page, poses):
    description = read_description(poses.model)
    engine = open_engine(poses.model, description, "f32")

    def label(photo: bytes) -> int:
        pixels = description.preprocessing.pixels(decode(photo))
        return int(engine.run(pixels[None])[0, : len(description.classes)].argmax())

    changed = []
    for number in range(PHOTOS):
        pose = sorted(POSES)[number % len(POSES)]
        photo = large(pose, number, seed=9)
        text = base64.b64encode(photo).decode()
        sent = base64.b64decode(str(page.run(f"{PREPARED}({json.dumps(text)})")))
        assert max(Image.open(io.BytesIO(sent)).size) == 1600
        if label(sent) != label(photo):
            changed.append(f"{pose} {number}")
    engine.close()
    assert len(changed) / PHOTOS < AT_MOST, changed
