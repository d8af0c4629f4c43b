"""Lists of labels that would take all memory or time: refused in one sentence."""

from pathlib import Path

import pytest

from prepare.label_lists import rows_of
from prepare.scan import PrepareError


def is_photo(text: str) -> bool:
    return text.endswith(".jpg")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "photo,label\n" + "a," * 600_000, "line 2 .* more than 1,000,000 letters"),
        ("a.jsonl", '{"photo": "' + "a" * 1_000_000 + '"}\n', "line 1 .* 1,000,000 letters"),
        ("a.csv", "a," * 20_001 + "\nx.jpg,b\n" * 3, "line 1 .* more than 20,000 columns"),
        ("a.csv", "photo,label\n" + "x.jpg," * 20_001, "line 2 .* more than 20,000 columns"),
        ("a.json", "[" + "{}," * 25_000_001 + "{}]", "it has more than 50,000,000 values"),
    ],
    ids=["a long line", "a long object", "many columns", "many cells", "many values"],
)
def test_a_list_far_larger_than_lists_are_is_one_sentence(tmp_path: Path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(PrepareError, match=words):
        list(rows_of(path, is_photo))


def test_a_list_may_have_a_column_for_each_of_many_classes(tmp_path: Path):
    path = tmp_path / "a.csv"
    classes = [f"class {number}" for number in range(10_000)]
    path.write_text(",".join(["photo", *classes]) + "\nx.jpg" + ",0" * 10_000 + "\n")
    ((_, row),) = rows_of(path, is_photo)
    assert isinstance(row, dict)
    assert len(row) == 10_001
