"""Names that no text can hold: a job fails with its reason, or trains."""

import os

import pytest

from tests.support.jobs import failure, make_job, run_main
from train.failure import report_failure
from train.job import Job, JobError


def test_output_failure_is_written_whatever_the_reason_quotes(tmp_path, capsys):
    job = Job(tmp_path)
    for error, said in (
        (JobError("the photo 'a\udcff' is broken"), r"the photo 'a\udcff' is broken"),
        (OSError(28, "No space left", "/a\udcff"), r"the disk is full: could not write '/a\udcff'"),
        (KeyError("\ud800"), "unexpected KeyError: '\\ud800'"),
        (JobError("a\nvalidation_accuracy=1.0"), r"a\nvalidation_accuracy=1.0"),
    ):
        assert report_failure(job, error) in (1, 70)
        assert said in failure(job)
        assert failure(job).encode().count(b"\n") == 0
        assert f"train: failed: {failure(job)}\n" in capsys.readouterr().err


def test_a_long_reason_that_grows_by_its_escapes_is_cut(tmp_path):
    Job(tmp_path).write_failure("\udcff" * 1000)
    assert failure(Job(tmp_path)) == (r"\udcff" * 171)[:1024]


@pytest.mark.training
def test_a_broken_photo_whose_name_is_not_utf_8_is_the_reason(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 3, "validation": 1})
    folder = os.fsencode(job.channels["train"])
    with open(folder + b"/red/\xff\n.jpg", "wb") as file:
        file.write(b"\xff\xd8\xff torn")
    code, out = run_main(job, capsys)
    assert code == 1
    assert r"red/\udcff\n.jpg': it is not a complete photo" in failure(job)
    assert failure(job) in out


@pytest.mark.training
def test_a_class_whose_name_is_not_utf_8_is_refused_at_once(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 3, "validation": 1})
    folder = os.fsencode(job.channels["train"])
    os.rename(folder + b"/red", folder + b"/red\xff")
    code, _ = run_main(job, capsys)
    assert code == 1
    assert r"has a class 'red\udcff' whose name is not UTF-8" in failure(job)


@pytest.mark.training
def test_photos_whose_names_are_not_utf_8_are_trained_on(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 3, "validation": 2, "test": 2}, epochs=1)
    for channel in job.channels.values():
        folder = os.fsencode(channel)
        os.rename(folder + b"/red/red 0.jpg", folder + b"/red/\xff\n.jpg")
    code, out = run_main(job, capsys)
    assert code == 0, out
