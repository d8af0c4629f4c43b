"""SageMaker's SDKs, v3 and v2, nothing patched, on local SageMaker: each call is a row.

Each script of v2/ and v3/ runs in its client's own environment. `python -m tests.clients` writes
the table of local_sagemaker/README.md anew.
"""

import pytest

from tests.clients.fields import ON_DOCKER, answers_of, client_of, differences
from tests.clients.rows import WORKS
from tests.clients.table import HERE, SCRIPTS, calls_of, lacking, lines_of, rows_of, written


@pytest.mark.verify
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_client(request, python_of, script):
    if lacking(script):
        pytest.skip(f"{lacking(script)} is missing")
    python = python_of(script.partition("/")[0])
    place = request.getfixturevalue(f"on_{SCRIPTS[script]}")
    rows = rows_of(script, python, place.folder, place.environment)
    assert [row for row in rows if row[1] != WORKS] == []
    assert lines_of(script, rows) in written()


def test_the_table_has_a_row_for_each_call():
    lines = "".join(
        lines_of(script, [(call, WORKS) for call in calls_of(script)]) for script in SCRIPTS
    )
    assert written().partition("--- |\n")[2].strip() == lines.strip()


def test_no_script_is_left_out():
    assert {str(path.relative_to(HERE)) for path in HERE.glob("v?/*.py")} == set(SCRIPTS)


@pytest.mark.verify
@pytest.mark.parametrize("engine", ["process", "docker"])
def test_all_other_fields_are_there(request, engine):
    """After the scripts, which leave jobs, models and endpoints; fields.py says which may lack."""
    place = request.getfixturevalue(f"on_{engine}")
    answers = answers_of(client_of(place.environment))
    for name in set(answers) - ON_DOCKER if engine == "docker" else ON_DOCKER:
        del answers[name]
    if not all(answers.values()):
        pytest.skip("no client has left jobs to describe; run all tests of this folder")
    assert differences(answers) == []
