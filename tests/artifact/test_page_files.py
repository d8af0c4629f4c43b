"""A page's file: where it is written, from what, and names that are not text."""

import os

import jinja2
import pytest

from artifact.pages.page import write_page


def template(folder, text: str):
    path = folder / "t.html.j2"
    path.write_text(text)
    return path


def test_a_page_is_written_into_a_folder_that_is_there_or_not(tmp_path):
    source = template(tmp_path, "  {% if true %}\n<p>{{ words | shout }}</p>\n  {% endif %}\n")
    filters = {"shout": str.upper}
    for folder in (tmp_path, tmp_path / "new" / "deep"):
        write_page(folder / "page.html", source, filters, words="a&b")
        assert (folder / "page.html").read_text() == "<p>A&amp;B</p>\n"


def test_bytes_of_a_name_that_are_not_text_become_a_mark(tmp_path):
    write_page(tmp_path / "page.html", template(tmp_path, "{{ name }}"), name="a\udcff")
    assert (tmp_path / "page.html").read_bytes() == b"a?"


def test_a_table_beside_it_may_have_any_name(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.csv")).touch()
    write_page(tmp_path / "page.html", template(tmp_path, "{{ project|safe }}"))
    assert 'href="a%FF.csv"' in (tmp_path / "page.html").read_text()


def test_a_value_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(jinja2.UndefinedError):
        write_page(tmp_path / "page.html", template(tmp_path, "{{ words }}"))
    assert not (tmp_path / "page.html").exists()
