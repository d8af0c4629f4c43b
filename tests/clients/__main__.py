"""python -m tests.clients: run all scripts of the clients, and write the README's table anew."""

import sys
import tempfile
from pathlib import Path

from tests.clients.environments import python_of
from tests.clients.place import place
from tests.clients.rows import WORKS
from tests.clients.table import SCRIPTS, lacking, lines_of, rows_of, write
from tests.support.colour_model import colour_job


def main() -> int:
    """1 where a call does not work, or something is missing."""
    for script in SCRIPTS:
        if need := lacking(script):
            print(f"clients: {need} is missing, which {script} needs", file=sys.stderr)
            return 1
    lines: dict[str, str] = {}
    failed = False
    with tempfile.TemporaryDirectory() as name:
        job = colour_job(Path(name, "ml"))
        for engine in sorted(set(SCRIPTS.values())):
            folder = Path(name, engine)
            folder.mkdir()
            with place(folder, engine, job.root) as found:
                for script in (script for script in SCRIPTS if SCRIPTS[script] == engine):
                    python = python_of(script.partition("/")[0])
                    rows = rows_of(script, python, found.folder, found.environment)
                    failed = failed or any(result != WORKS for _, result in rows)
                    lines[script] = lines_of(script, rows)
    write("".join(lines[script] for script in SCRIPTS))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
