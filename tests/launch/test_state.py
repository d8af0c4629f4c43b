"""The file of things that were started."""

import json
import subprocess
import sys

import pytest
from filelock import FileLock

from launch.errors import LaunchError
from launch.state import Entry, State, read_notes
from tests.support.jobs import REPOSITORY


@pytest.fixture
def state(tmp_path):
    return State(tmp_path / "launch/demo.json", "demo")


def test_a_file_holds_the_entries_in_order(state):
    assert state.entries == []
    state.add("model", "a", "now", data="s3://b/a")
    state.add("config", "a", "now")
    state.add("model", "b", "later")
    assert json.loads(state.path.read_text()) == {
        "format_version": 1,
        "recipe": "demo",
        "entries": [
            {"kind": "model", "name": "a", "started": "now", "facts": {"data": "s3://b/a"}},
            {"kind": "config", "name": "a", "started": "now", "facts": {}},
            {"kind": "model", "name": "b", "started": "later", "facts": {}},
        ],
    }
    assert State(state.path, "demo").entries == state.entries


def test_an_entry_of_the_same_kind_and_name_is_replaced(state):
    state.add("model", "a", "now")
    state.add("config", "a", "now")
    added = state.add("model", "a", "later")
    assert added == Entry("model", "a", "later")
    assert state.entries == [Entry("config", "a", "now"), added]


def test_only_the_entry_of_that_kind_and_name_is_removed(state):
    for kind, name in (("model", "a"), ("model", "b"), ("config", "a")):
        state.add(kind, name, "now")
    state.remove("model", "a")
    assert [(entry.kind, entry.name) for entry in state.entries] == [
        ("model", "b"),
        ("config", "a"),
    ]
    assert State(state.path, "demo").entries == state.entries


def test_entries_by_kind_and_the_latest(state):
    for kind, name in (("model", "a"), ("alarm", "b"), ("model", "c")):
        state.add(kind, name, "now")
    assert [entry.name for entry in state.all("model")] == ["a", "c"]
    assert [entry.name for entry in state.all("alarm", "model")] == ["a", "b", "c"]
    found = state.latest("model", "alarm")
    assert found is not None
    assert found.name == "c"
    assert state.latest("api") is None


@pytest.mark.parametrize(
    "content, expected",
    [
        ("[", "is not a file of this launcher"),
        ("{}", r"is not a file of this launcher \(KeyError\('format_version'\)\); move it away"),
        ("[]", "is not a file of this launcher"),
        (
            '{"format_version": 1, "entries": [{"colour": 1}]}',
            "is not a file of this launcher",
        ),
        ('{"format_version": 0}', "has format_version 0; this launcher knows 1"),
        (
            '{"format_version": 2}',
            "has format_version 2; this launcher knows 1: use the version of Slipway that wrote it",
        ),
        ("", "is not a file of this launcher"),
        ('{"format_version": 1, "entr', "is not a file of this launcher"),
    ],
)
def test_other_programs_files_are_errors(tmp_path, content, expected):
    (tmp_path / "demo.json").write_text(content)
    with pytest.raises(LaunchError, match=expected):
        read_notes(tmp_path / "demo.json")


@pytest.mark.parametrize("entry", ['{"kind": 5, "name": "a", "started": ""}', '{"kind": "a"}'])
def test_an_entry_of_another_form_is_an_error(tmp_path, entry):
    (tmp_path / "demo.json").write_text(f'{{"format_version": 1, "entries": [{entry}]}}')
    with pytest.raises(LaunchError, match="is not a file of this launcher"):
        State(tmp_path / "demo.json", "demo")


def test_recipes_whose_names_look_alike_do_not_share_their_notes(tmp_path):
    """`my demo` and `my-demo` have one slug: `delete` of one would remove the other's endpoint."""
    State(tmp_path / "my-demo.json", "my demo").add("endpoint", "my-demo", "now")
    with pytest.raises(LaunchError, match="has the notes of the recipe 'my demo', and this one is"):
        State(tmp_path / "my-demo.json", "my-demo")


def test_the_notes_of_other_recipes_are_read_beside_ours(tmp_path):
    State(tmp_path / "old.json", "old").add("endpoint", "old", "now")
    (tmp_path / "torn.json").write_text("{")
    (tmp_path / "folder.json").mkdir()
    own = State(tmp_path / "new.json", "new")
    own.add("endpoint", "new", "now")
    assert own.others() == [("old", [Entry("endpoint", "old", "now")])]


def test_make_clean_keeps_the_notes_alone(tmp_path):
    """Nothing else knows what runs on AWS, and costs."""
    for name in ("out/launch/demo.json", "out/ml/model.json", "out/.hidden", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for _ in range(2):
        command = ["make", "-f", str(REPOSITORY / "Makefile"), "ENGINE=process", "clean"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert left == [tmp_path / "out/launch/demo.json"]


def test_two_commands_lose_nothing_of_each_other(tmp_path):
    """`tune` in the background notes its next job hours after `deploy` noted the endpoint."""
    tune = State(tmp_path / "demo.json", "demo")
    deploy = State(tmp_path / "demo.json", "demo")
    deploy.add("endpoint", "e", "1")
    tune.add("tuning", "t", "2")
    deploy.remove("model", "none")
    assert [entry.name for entry in tune.entries] == ["e", "t"]
    tune.recall([Entry("endpoint", "e", "0"), Entry("config", "c", "0")])
    assert [(entry.name, entry.started) for entry in deploy.entries] == [
        ("c", "0"),
        ("e", "1"),
        ("t", "2"),
    ]


def test_changes_at_the_same_time_are_all_kept(tmp_path):
    program = (
        "import sys; from launch.state import State; from pathlib import Path\n"
        "state = State(Path(sys.argv[1]), 'demo')\n"
        "for number in range(20): state.add('training', f'{sys.argv[2]}-{number}', 'now')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "demo.json")]
    writers = [subprocess.Popen([*command, name], cwd=REPOSITORY) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(read_notes(tmp_path / "demo.json")[1]) == 60


def test_a_file_that_another_command_keeps_is_a_sentence(state, monkeypatch):
    monkeypatch.setattr("launch.state.LOCK_S", 0)
    state.add("model", "a", "now")
    kept = pytest.raises(LaunchError, match="another command has kept '.*demo.json' for 0 s")
    with FileLock(f"{state.path}.lock"), kept:
        state.add("model", "b", "now")
    assert [entry.name for entry in state.entries] == ["a"]
