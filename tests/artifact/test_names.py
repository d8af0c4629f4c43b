"""Names from outside in text for people."""

import io
import subprocess
import sys

import pytest

from artifact.text.names import escape_output, is_text, printable, writable
from tests.support.jobs import REPOSITORY


@pytest.mark.parametrize(
    "name, shown",
    [
        ("photo 1.jpg", "photo 1.jpg"),
        ("Schäfer 犬.jpg", "Schäfer 犬.jpg"),
        ("a\nvalidation_accuracy=1.0", r"a\nvalidation_accuracy=1.0"),
        ("a\r\x1b[2Jb\t\x00", r"a\r\x1b[2Jb\t\x00"),
        ("\u2028\u202egpj.exe", r"\u2028\u202egpj.exe"),
        ("\udcff", r"\udcff"),
    ],
)
def test_a_name_is_one_printable_line(name, shown):
    assert printable(name) == shown
    assert printable(name).isprintable()


def test_text_keeps_its_lines_and_can_be_written():
    assert writable("a\nb\udcff") == "a\nb\\udcff"
    assert is_text("a\nö")
    assert not is_text("a\udcff")


def test_other_kinds_of_output_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    escape_output()


def test_a_process_prints_any_name():
    code = "from artifact.text.names import escape_output as e; e(); print('a\\udcff')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"a\\udcff\n"
