"""The soak test of the real container, shortened; and its hostile bodies."""

import subprocess
import sys

import pytest

from artifact.photos.decoder import decode
from artifact.photos.kinds import PhotoError
from local_test.hostile import hostile_bodies
from tests.support.jobs import REPOSITORY


@pytest.mark.verify
@pytest.mark.docker
def test_the_container_survives_load_hostile_bodies_and_a_killed_worker(images, trained):
    command = [
        sys.executable,
        "-m",
        "local_test.soak",
        "--model",
        trained.model,
        "--photos",
        trained.channels["test"],
        "--requests",
        "1500",
        "--minutes",
        "0.2",
        "--untimed",
    ]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    last = done.stdout.splitlines()[-1]
    assert last.startswith("soak: hostile=")
    assert " server_errors=0 " in last
    assert " wrong=0 " in last
    assert last.endswith(" failures=0")


@pytest.mark.verify
@pytest.mark.slow
def test_hostile_bodies_are_what_they_claim_to_be():
    bodies = hostile_bodies()
    assert len(bodies) > 115
    # The same each time: failures can be seen again.
    assert bodies == hostile_bodies()
    for name in (
        "rgba_40mp.png",
        "grey16_40mp.png",
        "webp_40mp.webp",
        "cmyk_40mp.jpg",
        "animated.gif",
        "lab.tiff",
    ):
        # Large, and rightly made.
        assert decode(bodies[name]).mode == "RGB"
    for name in (
        "bomb_1bit.png",
        "claims_65500.jpg",
        "text_bomb.png",
        "claims_60000.bmp",
        "lfs_pointer.jpg",
        "drawing.svg",
    ):
        # They claim to be large, or to be photos.
        with pytest.raises(PhotoError):
            decode(bodies[name])
