"""The log of a program has a line per record."""

import io
import logging

import pytest

from artifact.text.log_lines import OneLineFormatter


@pytest.fixture
def stream():
    """What a logger of its own writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(OneLineFormatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("tests.log_lines")
    logger.addHandler(handler)
    logger.propagate = False
    yield written
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_name_is_no_line_of_its_own(stream):
    logger = logging.getLogger("tests.log_lines")
    logger.warning("photo '%s' is broken", "x\nepoch=9 loss=0\x1b[2J\udcff.jpg")
    expected = "WARNING photo 'x\\nepoch=9 loss=0\\x1b[2J\\udcff.jpg' is broken\n"
    assert stream.getvalue() == expected


def test_a_traceback_keeps_its_lines(stream):
    logger = logging.getLogger("tests.log_lines")
    try:
        raise ValueError("a\nb")
    except ValueError:
        logger.exception("failed\nhere")
    first, *others = stream.getvalue().splitlines()
    assert first == "ERROR failed\\nhere"
    assert others[0].startswith("Traceback")
