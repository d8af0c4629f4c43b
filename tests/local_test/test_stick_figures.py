import hashlib

import pytest
from PIL import Image

from artifact.photos.decoder import read_photo
from artifact.photos.kinds import PhotoError
from local_test.figure import POSES
from local_test.stick_figures import draw, picture


def test_the_set_has_every_pose_and_the_awkward_files(tmp_path):
    count = draw(tmp_path, photos_per_class=12, seed=1)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == count
    assert {path.parent.name for path in files} == set(POSES)
    assert len(POSES) == 5
    modes, formats, turned, broken = set(), set(), 0, []
    for path in files:
        try:
            read_photo(path)
        except PhotoError:
            # One file is broken on purpose.
            broken.append(path)
            continue
        with Image.open(path) as image:
            modes.add(image.mode)
            formats.add((image.format, path.suffix))
            # 0x0112: the photo's orientation.
            turned += image.getexif().get(0x0112, 1) != 1
    assert {"RGB", "RGBA", "L", "CMYK", "P"} <= modes
    assert ("WEBP", ".jpg") in formats
    assert turned
    assert len(broken) == 1
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    # One file is there twice.
    assert len(digests) - len(set(digests)) == 1
    assert any(" " in path.name for path in files)


@pytest.mark.slow
def test_the_same_seed_draws_the_same(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        draw(tmp_path / name, photos_per_class=8, seed=seed)
    first, same, other = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in "abc"
    )
    assert first == same
    assert first != other


def test_pictures_vary_in_size():
    sizes = {picture(pose, number).size for pose in POSES for number in range(10)}
    assert len(sizes) > 10
    assert all(max(size) <= 320 for size in sizes)
    assert any(w > h for w, h in sizes)
    assert any(h > w for w, h in sizes)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match="mine.txt"):
        draw(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "x"
