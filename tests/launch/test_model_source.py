"""Where the model of an endpoint or a transform job comes from."""

import io
import os
import tarfile
from dataclasses import replace

import pytest

from launch import model_source as model_sources
from launch.errors import LaunchError
from launch.model_source import add_code, bring, model_source
from launch.upload import sha256_of
from tests.artifact.test_hostile_archives import HOSTILE, many
from tests.support.launching import training


@pytest.mark.parametrize(
    "status, found",
    [("Completed", True), ("Stopped", True), ("InProgress", False), ("Failed", False)],
)
def test_a_training_that_ended_has_a_model(colours, status, found):
    one = colours(job="job")
    one.answer("sagemaker", "describe_training_job", training(status))
    if found:
        assert model_source(one.context) == "s3://b/model.tar.gz"
        return
    with pytest.raises(LaunchError, match=f"the training job is {status}; it has no model"):
        model_source(one.context)


def test_where_a_model_is_taken_from(colours):
    one = colours(job="job")
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    with pytest.raises(LaunchError, match="the training job job does not exist on SageMaker"):
        model_source(one.context)
    one.context.dry = True
    source = "s3://photos/slipway/colours/output/job/output/model.tar.gz"
    assert model_source(one.context) == source
    one.context.options.best = True
    one.context.state.add("tuning", "s", "now")
    assert model_source(one.context) == source.replace("/job/", "/best-of-s/")


def test_a_model_of_this_machine_is_brought_once(colours, tmp_path):
    one = colours()
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(b"model")
    digits = sha256_of(path)[:16]
    prefix = f"slipway/colours/models/{digits}/"
    listed = {"Bucket": "photos", "Prefix": prefix}
    one.answer("s3", "list_objects_v2", {}, listed)
    one.answer("s3", "put_object", {"ETag": "1"})
    uri = f"s3://photos/{prefix}model.tar.gz"
    assert bring(one.context, path) == uri
    there = {"Contents": [{"Key": f"{prefix}model.tar.gz", "ETag": "1"}]}
    one.answer("s3", "list_objects_v2", there, listed)
    assert bring(one.context, path) == uri
    one.finished()
    one.context.dry = True
    assert bring(one.context, path) == uri
    assert one.context.calls[0].request["Body"] == str(path)


def test_hooks_come_into_the_archive(tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    (code / "hooks.py").write_text("def transform_answer(p): return p\n")
    (code / "notes.txt").write_text("no program")
    plain = tmp_path / "plain.tar.gz"
    with tarfile.open(plain, "w:gz") as file:
        for name, content in (("model.json", b"{}"), ("code/old.py", b"1"), ("./x/y", b"z")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    complete = tmp_path / "complete.tar.gz"
    add_code(plain, code, complete)
    with tarfile.open(complete) as file:
        assert file.getnames() == ["model.json", "./x/y", "code/hooks.py"]
        hooks = file.extractfile("code/hooks.py")
        assert hooks is not None
        assert hooks.read().startswith(b"def transform_answer")
    again = tmp_path / "again.tar.gz"
    add_code(plain, code, again)
    assert again.read_bytes() == complete.read_bytes()


@pytest.mark.parametrize("name", ["sparse", "many members", "headers that are huge"])
def test_hooks_do_not_come_into_a_hostile_archive(tmp_path, name):
    """A bucket may be another's: a sparse member of 4 TB would be packed as zeros, for days."""
    plain = tmp_path / "plain.tar.gz"
    packed = {
        "sparse": HOSTILE["sparse"][0],
        "many members": many(2000),
        "headers that are huge": HOSTILE["4 TB claimed"][0],
    }
    plain.write_bytes(packed[name])
    with pytest.raises(ValueError, match=r"is a sparse file|more than 1,000 members|MB in all"):
        add_code(plain, tmp_path, tmp_path / "complete.tar.gz")


def test_hooks_without_their_file_are_refused(colours):
    one = colours(job="job")
    one.context.dry = True
    settings = one.context.recipe.sagemaker
    hooked = replace(settings, endpoint=replace(settings.endpoint, hooks=True))
    one.context.recipe = replace(one.context.recipe, sagemaker=hooked)
    with pytest.raises(LaunchError, match=r"endpoint.hooks is true, and there is no '.*hooks.py'"):
        model_source(one.context)


@pytest.mark.parametrize("name", ["none.tar.gz", "model.zip", "folder.tar.gz"])
def test_other_files_are_no_model(colours, tmp_path, name):
    (tmp_path / "model.zip").touch()
    (tmp_path / "folder.tar.gz").mkdir()
    with pytest.raises(LaunchError, match=f"{name}' is not a model.tar.gz"):
        bring(colours().context, tmp_path / name)


def test_a_model_has_5_gb_at_most(colours, tmp_path, monkeypatch):
    one = colours()
    one.context.dry = True
    monkeypatch.setattr(model_sources, "sha256_of", lambda path: "0" * 64)
    path = tmp_path / "model.tar.gz"
    path.touch()
    os.truncate(path, 5 * 1024**3)  # a sparse file takes no room
    assert bring(one.context, path).startswith("s3://photos/")
    os.truncate(path, 5 * 1024**3 + 1)
    with pytest.raises(LaunchError, match="model.tar.gz' has more than 5 GB"):
        bring(one.context, path)
