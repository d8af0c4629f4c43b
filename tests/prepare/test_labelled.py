"""Photos whose classes a list has: its columns are guessed and told, its failed rows listed."""

import json
import unicodedata
from pathlib import Path

import pytest

from prepare.groups import group_keys
from prepare.labelled import lists_beside, scan_lists
from prepare.options import Options
from prepare.scan import PrepareError, Scan
from prepare.sources import find_photos

BREEDS = [("one", "pug"), ("two", "beagle"), ("three", "pug"), ("four", "beagle")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four empty photos in images/."""
    (tmp_path / "images").mkdir()
    for name, _ in BREEDS:
        (tmp_path / "images" / f"{name}.jpg").touch()
    return tmp_path


def labels(found: Scan) -> dict[str, tuple[str, ...]]:
    return {Path(one.path).stem: (one.label, *one.also) for one in found.sources}


def text(head: str, row: str) -> str:
    rows = [row.format(name=name, breed=breed) for name, breed in BREEDS]
    return "\n".join([head, *rows] if head else rows) + "\n"


GROUND_TRUTH = json.dumps(
    {
        "source-ref": "s3://bucket/set/images/{name}.jpg",
        "breeds": 1,
        "breeds-metadata": {
            "class-name": "{breed}",
            "type": "groundtruth/image-classification",
            "confidence": 0.9,
        },
    }
)
GROUND_TRUTH = GROUND_TRUTH.replace("{", "{{").replace("}", "}}")
GROUND_TRUTH = GROUND_TRUTH.replace("{{name}}", "{name}").replace("{{breed}}", "{breed}")


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("labels.csv", "filename,label", "{name}.jpg,{breed}"),
        ("labels.csv", "id,breed", "{name},{breed}"),  # as Kaggle has it
        ("labels.csv", "\ufefffilename;width;Label", "images/{name}.jpg;48;{breed}"),
        ("labels.csv", "", "{name}.jpg,{breed}"),
        ("labels.csv", "sep=;\nfile;label", "{name}.jpg;{breed}"),  # as Excel writes it
        ("labels.csv", "url,label", "https://example.com/a/{name}.jpg?width=9,{breed}"),
        ("labels.csv", "file,labels", "{name}.PNG,['{breed}']"),
        ("train.lst", "", "7\t{breed}\t{name}.jpg"),  # as MXNet has it
        ("labels.txt", "", "images/{name}.jpg {breed}"),
        ("x.tsv", "image\tclass", "./images/{name}.jpg\t{breed}"),
        ("labels.csv", "n,img,class", '7,"C:\\photos\\{name}.jpg",{breed}'),
        ("x.jsonl", "", '{{"file_name": "{name}.jpg", "label": "{breed}"}}'),
        ("x.json", "", '{{"file": "{name}.jpg", "category": "{breed}"}}'),
        ("x.manifest", "", GROUND_TRUTH),
    ],
)
def test_lists_in_many_forms(folder, name, head, row):
    (folder / name).write_text(text(head, row))
    assert lists_beside(folder) == [folder / name]
    found = scan_lists(folder, [folder / name])
    assert labels(found) == {name: (breed,) for name, breed in BREEDS}
    (said,) = found.said
    assert said.startswith(f"the columns of '{name}': photos in ")


@pytest.mark.parametrize(
    "document", [{f"{name}.jpg": breed for name, breed in BREEDS}, [{"a": 1, "b": 2}]]
)
def test_one_json_document(folder, document):
    (folder / "labels.json").write_text(json.dumps(document))
    if isinstance(document, dict):
        assert len(scan_lists(folder, [folder / "labels.json"]).sources) == 4
        return
    with pytest.raises(PrepareError, match="no column names photos that are there"):
        scan_lists(folder, [folder / "labels.json"])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.csv", "file,tags\none,a b\ntwo,b\nthree,a\nfour,c a\n", ("c", "a")),
        ("x.csv", "file,label\none,a|b\ntwo,b\nthree,a\nfour,c|a\n", ("c", "a")),
        ("x.csv", 'file,labels\none,"a, b"\ntwo,b\nthree,a\nfour,"c, a"\n', ("c", "a")),
        ("x.csv", "file,a,b,c\none,1,1,0\ntwo,0,1,0\nthree,1,0,0\nfour,1,0,1\n", ("a", "c")),
        ("x.csv", "file,label\none,a\ntwo,b\nthree,a\nfour,c\nfour,a\n", ("c", "a")),
        (
            "x.manifest",
            "\n".join(
                json.dumps(
                    {
                        "source-ref": f"s3://b/{name}.jpg",
                        "kinds": own,
                        "kinds-metadata": {
                            "class-map": {"0": "a", "1": "b", "2": "c"},
                            "type": "groundtruth/image-classification-multilabel",
                        },
                    }
                )
                for name, own in (("one", [0, 1]), ("two", [1]), ("three", [0]), ("four", [2, 0]))
            ),
            ("c", "a"),
        ),
    ],
)
def test_photos_of_several_labels(folder, name, content, expected):
    (folder / name).write_text(content)
    found = scan_lists(folder, [folder / name])
    assert labels(found)["four"] == expected
    assert labels(found)["two"] == ("b",)
    assert "train with multi_label=1" in found.said[-1]


def test_failed_rows_are_listed_and_unnamed_photos_counted(folder):
    failed = {
        "source-ref": "s3://b/two.jpg",
        "kind-metadata": {"failure-reason": "too few workers"},
    }
    rows = [
        {"source-ref": "one.jpg", "kind": 0, "kind-metadata": {"class-name": "a"}},
        failed,
        {"source-ref": "three.jpg", "kind": 1, "kind-metadata": {"class-name": "../b"}},
        {"source-ref": "gone.jpg", "kind": 1, "kind-metadata": {"class-name": "b"}},
        # train passes such a folder by
        {"source-ref": "four.jpg", "kind": 1, "kind-metadata": {"class-name": "@eaDir"}},
    ]
    lines = [*map(json.dumps, rows), "{torn"]
    (folder / "out.manifest").write_text("\n".join(lines))
    found = scan_lists(folder, [folder / "out.manifest"])
    assert labels(found) == {"one": ("a",)}
    reasons = found.passed.unreadable
    assert reasons["out.manifest, line 2"] == "its labelling failed (too few workers)"
    assert "cannot be the name of a folder" in reasons["out.manifest, line 3"]
    assert reasons["out.manifest, line 4"] == "its photo 'gone.jpg' is not there"
    assert "a system's folder" in reasons["out.manifest, line 5"]
    assert reasons["out.manifest, line 6"].startswith("it is not JSON")
    assert found.passed.by_kind()["photos that the list does not name"] == 3


def test_a_split_in_a_column_or_in_names(folder):
    (folder / "x.csv").write_text(
        "path,label,split\none,a,train\ntwo,b,TEST\nthree,b,val\nfour,a,train\n"
    )
    found = scan_lists(folder, [folder / "x.csv"])
    assert [one.split for one in found.sources] == ["train", "train", "validation", "test"]
    (folder / "x.csv").unlink()
    (folder / "train.csv").write_text("path,label\none,a\nthree,b\n")
    (folder / "test.csv").write_text("path,label\ntwo,b\nfour,a\n")
    lists = lists_beside(folder)
    assert [path.name for path in lists] == ["test.csv", "train.csv"]
    found = scan_lists(folder, lists)
    assert [one.split for one in found.sources] == ["test", "train", "train", "test"]


def test_photos_of_one_name_in_several_folders(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "1.jpg").touch()
        (tmp_path / part / "metadata.csv").write_text(f"file_name,label\n1.jpg,{part}ing\n")
    lists = lists_beside(tmp_path)
    found = scan_lists(tmp_path, lists)
    assert [(one.path, one.label, one.split) for one in found.sources] == [
        ("test/1.jpg", "testing", "test"),
        ("train/1.jpg", "training", "train"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file,size,height\none,1,7\ntwo,1,7\nthree,2,8\nfour,2,8\n", "several columns could"),
        ("file\none\ntwo\n", "it has no column beside the photos' names"),
        ("file,label\none,Cat\ntwo,cat\n", "look alike"),
        ("", "no column names photos"),
    ],
)
def test_lists_that_cannot_be_used(folder, content, words):
    (folder / "labels.csv").write_text(content)
    with pytest.raises(PrepareError, match=words):
        scan_lists(folder, [folder / "labels.csv"])


def test_two_lists_are_refused_unless_one_is_called_labels(folder):
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(text("file,label", "{name},{breed}"))
    with pytest.raises(PrepareError, match=r"several lists could hold the labels \(a.csv, b.csv\)"):
        lists_beside(folder)
    (folder / "a.csv").rename(folder / "labels.csv")
    assert lists_beside(folder) == [folder / "labels.csv"]


def test_labels_that_differ_in_unicode_form_are_one(folder):
    other = unicodedata.normalize("NFD", "Café")
    (folder / "labels.csv").write_text(f"file,label\none,Café\ntwo, {other} \nthree,b\n")
    found = scan_lists(folder, [folder / "labels.csv"])
    assert labels(found) == {"one": ("Café",), "two": ("Café",), "three": ("b",)}


def test_a_column_says_which_photos_stay_together(folder):
    rows = text("person,filename,label", "{name[0]},{name}.jpg,{breed}")
    (folder / "labels.csv").write_text(rows)
    found = scan_lists(folder, [folder / "labels.csv"], groups="person")
    assert found.said[0].endswith("labels in 'label', groups in 'person'")
    keys = group_keys("person", found.sources)
    assert {source.path: key for source, key in keys.items()} == {
        f"images/{name}.jpg": name[0] for name, _ in BREEDS
    }
    by_path = group_keys(r"/(..)", scan_lists(folder, [folder / "labels.csv"]).sources)
    assert sorted(by_path.values()) == ["fo", "on", "th", "tw"]


def test_a_column_without_a_name_is_no_group_and_no_split(folder):
    """As pandas writes its index, or a list that ends each row by a comma."""
    (folder / "labels.csv").write_text(text(",filename,label", "{name[0]},{name}.jpg,{breed}"))
    found = scan_lists(folder, [folder / "labels.csv"])
    assert {(source.group, source.split) for source in found.sources} == {("", None)}
    assert sorted(group_keys(r"/(..)", found.sources).values()) == ["fo", "on", "th", "tw"]
    (folder / "labels.csv").write_text(text(",label", "{name}.jpg,{breed}"))
    assert labels(scan_lists(folder, [folder / "labels.csv"])) == {
        name: (breed,) for name, breed in BREEDS
    }


def test_the_column_of_groups_is_not_guessed_for_labels(folder):
    (folder / "labels.csv").write_text(text("filename,kind,site", "{name}.jpg,{breed},{breed}"))
    with pytest.raises(PrepareError, match="several columns could hold the labels"):
        scan_lists(folder, [folder / "labels.csv"])
    found = scan_lists(folder, [folder / "labels.csv"], groups="site")
    assert labels(found)["one"] == ("pug",)
    assert {source.group for source in found.sources} == {"pug", "beagle"}


COCO = {
    "images": [{"id": 1, "file_name": "one.jpg"}, {"id": 2, "file_name": "two.jpg"}],
    "categories": [{"id": 7, "name": "pug"}, {"id": 8, "name": "beagle"}],
    "annotations": [{"image_id": 1, "category_id": 7}, {"image_id": 2, "category_id": 8}],
}


@pytest.mark.parametrize(
    "document", [COCO, {"labels": [["one.jpg", "pug"], ["two.jpg", "beagle"]]}]
)
def test_json_documents_of_published_sets(folder, document):
    (folder / "labels.json").write_text(json.dumps(document))
    found = scan_lists(folder, lists_beside(folder))
    assert labels(found) == {"one": ("pug",), "two": ("beagle",)}


def test_what_a_list_lacks_is_said_where_all_photos_are_in_one_folder(folder):
    boxes = {**COCO, "annotations": [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9]}]}
    (folder / "labels.json").write_text(json.dumps(boxes))
    with pytest.raises(PrepareError, match=r"one class only.*'labels.json'.*holds boxes \(COCO\)"):
        find_photos(Options(folder, folder.parent / "out"))


def test_a_list_of_one_part_alone_holds_nothing_out(folder):
    (folder / "train.csv").write_text(text("id,label", "{name},{breed}"))
    (folder / "sample_submission.csv").write_text(text("id,label", "{name},pug"))
    found = scan_lists(folder, lists_beside(folder))
    assert {source.split for source in found.sources} == {None}
    assert labels(found)["two"] == ("beagle",)
