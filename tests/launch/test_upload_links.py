"""What lies outside a channel's folder is never sent, whatever leads there."""

import os
import subprocess
from pathlib import Path

import pytest

from launch.errors import LaunchError
from launch.invoke import find_photos
from launch.upload import files_of
from tests.support.launching import ScriptedAws, recipe


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.jpg").write_text("the user's own")
    (tmp_path / "train/cat").mkdir(parents=True)
    (tmp_path / "train/cat/1.jpg").write_text("a photo")
    return tmp_path / "train"


def link_to_a_file(folder: Path) -> None:
    os.symlink(folder.parent / "secret/key.jpg", folder / "cat/2.jpg")


def link_to_a_folder(folder: Path) -> None:
    os.symlink("../secret", folder / "dog")


def link_by_a_detour(folder: Path) -> None:
    """A link inside to a link that leads out."""
    os.symlink("../../secret/key.jpg", folder / "cat/.hidden")
    os.symlink(".hidden", folder / "cat/2.jpg")


def link_to_a_sibling_of_nearly_the_same_name(folder: Path) -> None:
    # Its path begins as the channel's.
    (folder.parent / "train_old").mkdir()
    (folder.parent / "train_old/3.jpg").write_text("another channel")
    os.symlink("../train_old", folder / "old")


def link_to_a_device(folder: Path) -> None:
    os.symlink("/dev/zero", folder / "cat/2.jpg")


OUT = "is a link out of the folder, to '.*'; only what lies in the folder is sent"


@pytest.mark.parametrize(
    "plant",
    [
        link_to_a_file,
        link_to_a_folder,
        link_by_a_detour,
        link_to_a_sibling_of_nearly_the_same_name,
        link_to_a_device,
    ],
)
def test_a_link_out_of_the_channel_is_an_error(folder, plant):
    plant(folder)
    with pytest.raises(LaunchError, match=OUT):
        files_of(folder)


def test_a_link_within_the_channel_is_followed(folder):
    os.symlink("cat", folder / "dog")
    assert [file.name for file in files_of(folder)] == ["cat/1.jpg", "dog/1.jpg"]


def test_the_channel_itself_may_be_a_link(folder, tmp_path):
    os.symlink(folder, tmp_path / "channel")
    assert [file.name for file in files_of(tmp_path / "channel")] == ["cat/1.jpg"]


# Each would be read without end.
@pytest.mark.parametrize("target", ["..", ".", "../cat/../.."])
def test_a_link_to_a_folder_around_it_is_an_error(folder, target):
    os.symlink(target, folder / "cat/round")
    with pytest.raises(LaunchError, match="folder around it; take it away|link out of the folder"):
        files_of(folder)


def test_a_link_to_nothing_is_an_error(folder):
    os.symlink("round", folder / "round")
    os.symlink("gone", folder / "cat/2.jpg")
    with pytest.raises(LaunchError, match="is a link to nothing; take it away"):
        files_of(folder)


def test_only_regular_files_are_read(folder):
    os.mkfifo(folder / "cat/2.jpg")
    with pytest.raises(LaunchError, match="2.jpg' is not a regular file; take it away"):
        files_of(folder)


def test_a_name_that_is_not_utf_8_is_an_error(folder):
    subprocess.run(["touch", os.fsencode(folder) + b"/cat/\xff.jpg"], check=True)
    with pytest.raises(LaunchError, match=r"cat/\\udcff.jpg' has a name that is not UTF-8"):
        files_of(folder)


# invoke sends photos, too.
def test_photos_of_a_folder_to_invoke_are_held_to_the_same(folder, tmp_path):
    context = ScriptedAws(recipe(), tmp_path).context
    found = find_photos(context, [str(folder)])
    assert [photo.where for photo in found] == [str(folder / "cat/1.jpg")]
    link_to_a_file(folder)
    with pytest.raises(LaunchError, match=OUT):
        find_photos(context, [str(folder)])
