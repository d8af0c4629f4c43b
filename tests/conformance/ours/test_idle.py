"""Our serving images stay loaded when nobody asks. Needs Docker, and two minutes of waiting."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.our_images import IDLE, SERVING_IMAGES, conformance, seen

pytestmark = [pytest.mark.docker, pytest.mark.verify]


def test_our_serving_images_stay_loaded_when_nobody_asks(images, trained, tmp_path):
    def kept(name: str) -> dict[str, str]:
        folder = tmp_path / name
        folder.mkdir()
        model = f"--model={trained.root / 'model'}"
        return seen(conformance(folder, f"--serve={images[name]}", model, f"--only={IDLE}"), "kept")

    # Side by side: they wait for two minutes each.
    with ThreadPoolExecutor() as pool:
        for found in pool.map(kept, SERVING_IMAGES):
            assert set(found) == {IDLE}
