"""The storage of a search: its file, its lock, databases, and what errors show."""

import optuna
import pytest

from tune.__main__ import _alone
from tune.errors import SearchError
from tune.storage import STUDY_FILE, FileLock, _line, answering, open_storage, repair
from tune.storage_url import given_or_hidden, shown, without_secrets
from tune.trial_states import requeue_silent


@pytest.mark.parametrize(
    "url, expected",
    [
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("postgresql://me:secret@host/db", "postgresql://…@host/db"),
        # A password may hold an @.
        ("postgresql://me:p@ss@host/db", "postgresql://…@host/db"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db"),
    ],
)
def test_a_password_is_not_shown(url, expected):
    assert shown(url) == expected


def test_a_librarys_error_is_one_short_line():
    assert _line(ValueError("a\n  b")) == "a b"
    assert _line(ValueError("x" * 999)) == "x" * 200


def test_a_database_is_tried_again_and_then_refused(tmp_path, monkeypatch):
    tries: list[str] = []
    waits: list[float] = []

    def refuse(url: str, **_: object) -> None:
        tries.append(url)
        raise RuntimeError("another version")

    monkeypatch.setattr("tune.storage.RDBStorage", refuse)
    # The waits are counted, not waited for.
    monkeypatch.setattr("tune.storage.time.sleep", waits.append)
    with pytest.raises(SearchError) as caught:
        open_storage(tmp_path, "mysql://me:secret@host/db")
    sentence = "the storage 'mysql://…@host/db' cannot be used (another version)"
    assert str(caught.value) == sentence
    assert len(tries) == 3
    assert waits == [0.5, 0.5]


# SQLite locks its file: others must wait longer.
@pytest.mark.parametrize("url, options", [("sqlite://", 60), ("mysql://h/d", None)])
def test_a_database_is_opened_with_a_heartbeat(tmp_path, monkeypatch, url, options):
    opened: list[dict] = []
    monkeypatch.setattr("tune.storage.RDBStorage", lambda url, **given: opened.append(given))
    open_storage(tmp_path, url)
    (given,) = opened
    expected: dict[str, object] = {"pool_pre_ping": True}
    if options:
        expected = {"connect_args": {"timeout": options}}
    assert given["engine_kwargs"] == expected
    assert given["heartbeat_interval"] == 30
    assert given["grace_period"] == 120
    assert given["heartbeat_stale_trial_callback"] is requeue_silent


@pytest.mark.parametrize(
    "content, left",
    [
        (b'{"op_code": 0}\n', b'{"op_code": 0}\n'),
        # The beginning of a line that a kill cut off.
        (b'{"op_code": 0}\n{"op', b'{"op_code": 0}\n'),
        (b'{"op', b""),
        (b"", b""),
        (b'{"op_code": 0}\n\n', b'{"op_code": 0}\n\n'),
    ],
)
def test_an_unfinished_line_is_cut(tmp_path, content, left):
    (tmp_path / STUDY_FILE).write_bytes(content)
    repair(tmp_path)
    assert (tmp_path / STUDY_FILE).read_bytes() == left


@pytest.mark.parametrize("content", [b"x\n", b"[]\n", b"{}\n"])
def test_a_foreign_file_is_not_cut(tmp_path, content):
    path = tmp_path / STUDY_FILE
    # A file of somebody else stays as it is.
    path.write_bytes(content + b"rest")
    with pytest.raises(SearchError, match="is not a file of this version's searches"):
        repair(tmp_path)
    assert path.read_bytes() == content + b"rest"


def test_nothing_to_repair(tmp_path):
    repair(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_free_after_its_release(tmp_path):
    first = FileLock(tmp_path / "lock")
    assert first.acquire()
    first.release()
    second = FileLock(tmp_path / "lock")
    assert second.acquire()
    second.release()


def test_one_tuner_for_each_folder(tmp_path):
    with _alone(tmp_path):
        with pytest.raises(SearchError) as caught, _alone(tmp_path):
            raise AssertionError("two tuners in one folder")
        sentence = f"another tuner is at work in '{tmp_path}'; wait for it, or name another --out"
        assert str(caught.value) == sentence
    with _alone(tmp_path):
        pass


def test_no_error_shows_a_password():
    url = "postgresql://me:s3cret%2F@host/db"
    text = f"'{url}' failed for s3cret%2F and for s3cret/"
    assert without_secrets(text, url) == "'postgresql://…@host/db' failed for … and for …"


def test_a_password_leaves_the_command_line(monkeypatch):
    started: list[tuple] = []

    def become(program: str, words: list[str], environment: dict[str, str]) -> None:
        started.append((words, environment))

    monkeypatch.setattr("os.execve", become)
    url = "postgresql://me:secret@host/db"
    given_or_hidden(url, {"A": "b"}, ["python", "-m", "tune", f"--storage={url}"])
    ((words, environment),) = started
    assert words == ["python", "-m", "tune", "--storage=postgresql://…@host/db"]
    assert environment == {"A": "b", "SLIPWAY_STORAGE": url}
    assert given_or_hidden("postgresql://…@host/db", environment, words) == url
    assert environment == {"A": "b"}
    assert given_or_hidden(None, {"SLIPWAY_STORAGE": url}, ["tune"]) == url
    plain = "postgresql://host/db"
    assert given_or_hidden(plain, {}, ["tune", plain]) == plain
    assert len(started) == 1


@pytest.mark.parametrize(
    "url, sentence",
    [
        (
            "postgresql+asyncpg://me:secret@host/db",
            "the storage 'postgresql+asyncpg://…@host/db' needs a driver that is not installed "
            "here; install it: pip install 'psycopg[binary]'",
        ),
        (
            "oracle://me:secret@host/db",
            "the storage 'oracle://…@host/db' needs a driver that is not installed here; "
            "install its driver for SQLAlchemy beside Optuna",
        ),
    ],
)
def test_a_missing_driver_is_one_sentence(tmp_path, url, sentence):
    with pytest.raises(SearchError) as caught:
        open_storage(tmp_path, url)
    assert str(caught.value) == sentence


def test_a_database_that_answers_no_more_is_one_sentence():
    lost = r"^the storage 'postgresql://…@host/db' answers no more \(gone for …\); the same command"
    with pytest.raises(SearchError, match=lost), answering("postgresql://me:secret@host/db"):
        try:
            raise OSError("gone for secret")
        except OSError as cause:
            raise optuna.exceptions.StorageInternalError("An exception") from cause
    with pytest.raises(optuna.exceptions.StorageInternalError), answering(None):
        raise optuna.exceptions.StorageInternalError("of a file")
