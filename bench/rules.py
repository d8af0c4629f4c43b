"""python -m bench.rules: which debugger rules fire on sound trainings, and which find sick ones.

Each training is a process of its own, and its tensors are judged by our defaults and by
SageMaker's. Photos: a prepared folder, else drawn stick figures. The exit code is 1 when a rule
fires on a sound training, or a sick one is not found.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.diagnosis.cases import SICK, SOUND, Case
from bench.sections import OUT, REPOSITORY, machine, replace_section
from diagnose.diagnosis import diagnose_output, with_defaults
from local_test.stick_figures import draw

TITLE = "## Debugger rules on sound and on sick trainings (`make bench-rules`)"
HEAD = ("| training | rules that fired | by SageMaker's defaults | right |", "|---|---|---|---|")
WATCHED = {
    "debug": "true",
    "profile": "true",
    "quantize": "false",
    "debug_train_interval": "3",
}


@dataclass(frozen=True)
class Judged:
    """The rules that fired on a training, by our defaults and by SageMaker's."""

    case: Case
    ours: list[str]
    sagemakers: list[str]

    @property
    def is_right(self) -> bool:
        """Whether no rule fired on a sound training, or one that finds the sick one did."""
        if not self.case.found_by:
            return not self.ours
        return any(rule in self.case.found_by for rule in self.ours)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-rules", description=__doc__)
    parser.add_argument("--data", type=Path, help="prepared photos; default: stick figures")
    parser.add_argument("--only", help="part of a training's name")
    options = parser.parse_args()
    work = OUT / "bench-rules"
    data = options.data or figures(work)
    rows = [*HEAD]
    answers = []
    for case in (*SOUND, *SICK):
        if options.only and options.only not in case.name:
            continue
        answers.append(judge(case, data, work))
        rows.append(row(answers[-1]))
        print(rows[-1], flush=True)
    table = "\n".join(rows)
    if not options.only:
        replace_section(TITLE, f"{machine()}. Photos: {data.name}.\n\n{table}")
    false = sum(len(answer.ours) for answer in answers if not answer.case.found_by)
    missed = [
        answer.case.name for answer in answers if answer.case.found_by and not answer.is_right
    ]
    print(f"bench-rules: false={false} missed={len(missed)} trainings={len(answers)}")
    return int(bool(false or missed))


def figures(work: Path, photos_per_class: int = 60) -> Path:
    """Prepared stick figures, made where they are missing."""
    prepared = work / "figures"
    if not prepared.is_dir():
        drawn = work / "drawn"
        draw(drawn, photos_per_class)
        command = [sys.executable, "-m", "prepare", str(drawn), str(prepared)]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return prepared


def judge(case: Case, data: Path, work: Path) -> Judged:
    """Train, and judge what was saved, also of a training that failed: one may diverge.

    DiagnoseError where nothing was saved.
    """
    root = work / case.name.replace(" ", "-")
    shutil.rmtree(root, ignore_errors=True)
    _link_channels(data, root / "input" / "data")
    case.spoil(root / "input" / "data" / "train")
    config = root / "input" / "config"
    config.mkdir(parents=True)
    texts = {name: str(value) for name, value in case.settings.items()} | WATCHED
    (config / "hyperparameters.json").write_text(json.dumps(texts), encoding="utf-8")
    with open(root / "log", "wb") as log:
        command = [sys.executable, "-m", "train", "--root", str(root)]
        subprocess.run(command, cwd=REPOSITORY, check=False, stdout=log, stderr=log)
    output = root / "output"
    ours = diagnose_output(output)
    documented = with_defaults({}, None, "sagemaker")
    (root / "sagemaker").mkdir()
    theirs = diagnose_output(output, parameters=documented, write_to=root / "sagemaker")
    return Judged(case, ours.fired(), theirs.fired())


def _link_channels(data: Path, channels: Path) -> None:
    for channel in ("train", "validation", "test"):
        for photo in (data / channel).rglob("*"):
            if photo.is_file():
                link = channels / channel / photo.relative_to(data / channel)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(photo.absolute())


def row(answer: Judged) -> str:
    """The answer as a row of the table."""
    kind = "sick" if answer.case.found_by else "sound"
    ours = ", ".join(answer.ours) or "none"
    theirs = ", ".join(answer.sagemakers) or "none"
    right = "yes" if answer.is_right else "no"
    return f"| {kind}: {answer.case.name} | {ours} | {theirs} | {right} |"


if __name__ == "__main__":
    sys.exit(main())
