"""Objects and answers that are not what a job's request says: a sentence, and no memory or disk."""

import gzip

import pytest

from local_sagemaker import folders, objects
from local_sagemaker.jobs import channels, records
from local_sagemaker.jobs.transform_run import _parameters_in
from local_sagemaker.objects import ObjectError

DEEP = "[" * 100_000


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_roots", [])
    folders.allow([tmp_path])
    return tmp_path


def filled(root, folder: str = "in") -> set[str]:
    """The names of a channel's files, of objects in gzip."""
    target = root / "out"
    source = {"S3DataType": "S3Prefix", "S3Uri": f"file://{root}/{folder}"}
    channels.fill_folder(source, target, 0, 1, is_packed=True)
    return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}


def test_objects_in_gzip_are_decompressed(root):
    (root / "in").mkdir()
    (root / "in" / "a.jpg.gz").write_bytes(gzip.compress(b"a" * 1000))
    assert filled(root) == {"a.jpg"}
    assert (root / "out" / "a.jpg").read_bytes() == b"a" * 1000


@pytest.mark.parametrize("content", [b"plain", gzip.compress(b"abc")[:-4], b""], ids=len)
def test_an_object_that_is_no_gzip_is_named(root, content):
    (root / "in").mkdir()
    (root / "in" / "a.jpg.gz").write_bytes(content)
    if not content:  # an empty file is the gzip of nothing
        assert filled(root) == {"a.jpg"}
        return
    with pytest.raises(ObjectError, match=r"the object '.*a\.jpg\.gz' cannot be decompressed"):
        filled(root)


def test_a_large_object_in_gzip_fills_no_disk(root, monkeypatch):
    (root / "in").mkdir()
    (root / "in" / "a.gz").write_bytes(gzip.compress(bytes(3_000_000)))
    monkeypatch.setattr(channels, "folder_room", lambda folder: channels.SPARE_BYTES + 2_000_000)
    with pytest.raises(ObjectError, match="does not fit on this disk"):
        filled(root)
    assert [path.name for path in (root / "out").iterdir()] == ["a.gz"]


def test_a_large_object_in_gzip_takes_no_memory(monkeypatch):
    monkeypatch.setattr(records, "memory_left", lambda: 4_000_000)
    packed = gzip.compress(bytes(3_000_000))
    with pytest.raises(records.TooLarge, match="'s3://b/a' has more than 1 MB when it is decomp"):
        records.unpacked(packed, "Gzip", "s3://b/a")


def test_an_object_whose_folder_is_an_object_is_named(root):
    (root / "object").write_bytes(b"1")
    (root / "out").mkdir()
    (root / "out" / "a").write_bytes(b"1")
    with pytest.raises(ObjectError, match="exists|Not a directory"):
        objects.fetch(f"file://{root}/object", root / "out" / "a" / "b")


@pytest.mark.parametrize("text", [DEEP, "{}", "[]", "[1]", '[{"prefix": "s3://b/"}, 5]', "\udcff"])
def test_a_manifest_that_is_none_is_one_sentence(root, text):
    (root / "manifest").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ObjectError, match="must be a JSON list"):
        channels.manifest(f"file://{root}/manifest")


@pytest.mark.parametrize(
    "text",
    [DEEP, "[]", "1", '{"MaxPayloadInMB": "x"}', '{"MaxPayloadInMB": -1}']
    + ['{"MaxConcurrentTransforms": 1e999}', '{"MaxConcurrentTransforms": 1000000000}'],
)
def test_execution_parameters_that_are_none_are_left_out(text):
    with pytest.raises(ValueError):
        _parameters_in(text.encode())
    assert _parameters_in(b'{"MaxPayloadInMB": 6, "x": []}')["MaxPayloadInMB"] == 6
