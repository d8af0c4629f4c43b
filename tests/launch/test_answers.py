"""Photos, and their answers as a table and as JSON."""

import json

import pytest

from launch.answers import Answer, Photo, accuracy_lines, json_lines, table

TOP = [{"label": "blue", "probability": 0.9}, {"label": "green", "probability": 0.06}]
BLUE: dict[str, object] = {"label": "blue", "probability": 0.9, "top": TOP}


def answered(where: str, prediction: dict[str, object] = BLUE) -> Answer:
    return Answer(Photo(where), prediction)


def failed(where: str, failure: str) -> Answer:
    return Answer(Photo(where), {}, failure)


def test_columns_are_as_wide_as_their_texts():
    answers = [
        answered("s3://b/photos/blue/1.jpg"),
        answered("a.jpg", {"label": "a long label", "probability": 1}),
    ]
    assert table(answers) == [
        "photo       label         probability  next",
        "blue/1.jpg  blue          0.9000       green  0.0600",
        "a.jpg       a long label  1.0000",
    ]


def test_a_failures_sentence_leaves_its_column():
    answers = [failed("a.jpg", "it is not a photo, as one can see"), answered("b.jpg")]
    assert table(answers) == [
        "photo  label  probability  next",
        "a.jpg  failed: it is not a photo, as one can see",
        "b.jpg  blue   0.9000       green  0.0600",
    ]


@pytest.mark.parametrize(
    "top, row",
    [
        (None, "blue   0.9000"),
        ([], "blue   0.9000"),
        (TOP[:1], "blue   0.9000"),
        ([TOP[0], {"label": "red"}], "blue   0.9000       red"),
        ([*TOP, {"label": "red", "probability": 0.01}], "blue   0.9000       green  0.0600"),
    ],
)
def test_the_next_label_is_the_second_of_the_top(top, row):
    [_, line] = table([answered("a", {**BLUE, "top": top})])
    assert line == f"a      {row}"


def test_a_json_line_per_photo():
    lines = json_lines([answered("grün.jpg"), failed("b.jpg", "no")])
    assert lines[0].startswith('{"photo": "grün.jpg", ')
    assert json.loads(lines[0]) == {"photo": "grün.jpg", **BLUE}
    assert json.loads(lines[1]) == {"photo": "b.jpg", "error": "no"}


@pytest.mark.parametrize(
    "where, in_s3, content_type",
    [
        ("s3://b/a.PNG", True, "image/png"),
        ("a.jpeg", False, "image/jpeg"),
        ("a", False, "application/x-image"),
    ],
)
def test_a_photo_knows_its_place_and_type(where, in_s3, content_type):
    photo = Photo(where)
    assert photo.in_s3 is in_s3
    assert photo.content_type == content_type


def test_a_photo_of_s3_has_bucket_and_key():
    assert Photo("s3://b/c/a.jpg").s3_object() == {"Bucket": "b", "Key": "c/a.jpg"}


def said(where: str, label: str, answer: str) -> Answer:
    prediction = {"label": answer, "probability": 0.75, "top": [{"label": "red"}]}
    return Answer(Photo(where, label), prediction)


def test_folders_of_classes_give_the_accuracy_and_the_mistakes():
    answers = [said(f"red/{number}.jpg", "red", "red") for number in range(9)]
    answers.append(said("blue/1.jpg", "blue", "red"))
    answers.append(Answer(Photo("blue/2.jpg", "blue"), {}, "no photo"))
    assert accuracy_lines(answers) == [
        "accuracy: 9 of 10 = 0.900 (0.596 to 0.982 at 95 %), by the folders' names",
        "mistake: blue/1.jpg: blue taken for red (0.75)",
    ]
    assert json.loads(json_lines(answers[:1])[0])["expected"] == "red"


@pytest.mark.parametrize("label", ["", "holidays"])
def test_folders_that_are_no_classes_give_none(label):
    assert accuracy_lines([said("a/1.jpg", label, "red")]) == []
    assert accuracy_lines([]) == []
