"""Two trials of a search in one process, on the same photos, weights and preprocessing: prints the seconds of each as JSON.

python bench/training/trials.py ROOT: ROOT is laid out as a job; the second trial has another learning rate.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipes.hyperparameters import parse  # noqa: E402
from train.job import Job  # noqa: E402
from train.model.networks import Networks  # noqa: E402
from train.run import run  # noqa: E402
from train.stop import Stop  # noqa: E402


def main():
    root = Path(sys.argv[1])
    hp = parse(Job(root).hyperparameters())
    networks, seconds = Networks(), []
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
