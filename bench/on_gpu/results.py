"""The GPU bench's section of RESULTS.md: every row, measured or left out with its reason."""

from collections.abc import Sequence
from pathlib import Path

from bench.on_gpu.cells import Bench, Cell, Figure
from bench.sections import Bar, bar_rows, machine, replace_section

TITLE = "## On a GPU"
FEWEST_CORES = 16  # from which the bar of decoding counts
MOST_CONNECTIONS = 256


def bars(bench: Bench) -> dict[str, Bar]:
    """The goals whose figures are there, with their limits."""
    wanted = {
        "jpegs_vs_reference": ("jpegs_vs_reference", 1.2, False),
        "server_of_engine": ("server_of_engine", 0.8, False),
        f"p99_ms_at_{MOST_CONNECTIONS}": (f"p99_{MOST_CONNECTIONS}", 20.0, True),
    }
    if bench.cores >= FEWEST_CORES:
        wanted["jpegs_of_synthetic"] = ("jpegs_of_step", 0.9, False)
    found = {}
    for name, (key, limit, below) in wanted.items():
        if key in bench.figures:
            found[name] = Bar(float(bench.figures[key]), limit, below)
    return found


def table(bench: Bench, cells: Sequence[Cell]) -> str:
    """All figures, then what was left out and why, as Markdown."""
    rows = ["| figure | measured |", "|---|---:|"]
    missing: dict[str, list[str]] = {}  # names of the rows, by reason
    for cell in cells:
        for key, name in cell.rows.items():
            if key in bench.figures:
                rows.append(f"| {name} | {written(bench.figures[key])} |")
            else:
                reason = bench.left_out.get(key, "the bench was stopped before it")
                missing.setdefault(reason, []).append(name)
    parts = ["\n".join(rows)] if len(rows) > 2 else []
    goals = bars(bench)
    if goals:
        parts.append("\n".join(bar_rows(goals)))
    if missing:
        lines = [f"- {reason}: {'; '.join(names)}" for reason, names in missing.items()]
        parts.append("Left out:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def written(figure: Figure) -> str:
    """Three digits, and all before the point."""
    if isinstance(figure, str):
        return figure
    if abs(figure) >= 100:
        return f"{figure:.0f}"
    return f"{figure:.3g}"


def write_section(bench: Bench, cells: Sequence[Cell], path: Path) -> None:
    """Replace this bench's section of a file of results."""
    sizes = bench.sizes
    about = (
        f"`make bench-gpu`, {machine()}; {sizes.model} at {sizes.side} pixels, batches of "
        f"{sizes.batch_size}, 500x375 JPEG. The reference: what torchvision documents of its "
        "references/classification, a worker for each core, the faster of f32 and float16. "
        "Resident: photos that are kept after their first decoding."
    )
    if not bench.figures:
        about = "Never run on a GPU yet: none of these rows is measured, and nothing is claimed."
    replace_section(TITLE, f"{about}\n\n{table(bench, cells)}", path)
