"""Two trials of a search in one process; prints the seconds of each as JSON.

python -m bench.training.trials ROOT: ROOT is laid out as a job. Both trials have its photos,
weights and preprocessing; the second has another learning rate.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

from recipes.hyperparameters import parse
from train.job import Job
from train.model.networks import Networks
from train.run import run
from train.stop import Stop


def main() -> None:
    root = Path(sys.argv[1])
    hp = parse(Job(root).hyperparameters())
    networks = Networks()
    seconds = []
    for number, lr in enumerate((hp.lr, hp.lr / 2)):
        trial = root / f"trial{number}"
        (trial / "input" / "config").mkdir(parents=True, exist_ok=True)
        (trial / "input" / "data").unlink(missing_ok=True)
        (trial / "input" / "data").symlink_to((root / "input" / "data").absolute())
        started = time.perf_counter()
        run(Job(trial), dataclasses.replace(hp, lr=lr), Stop(), networks=networks, export=False)
        seconds.append(time.perf_counter() - started)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
