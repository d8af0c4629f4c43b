"""slipway init NAME [--photos DIR]: write a folder for a project of your own.

It holds recipe.yaml with comments, recipe.schema.json by which an editor checks and completes the
recipe, code/hooks.py for steps of your own around the model, .gitignore, and a README of ten lines.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import jinja2
import yaml

from artifact.host.os_errors import sentence_of
from artifact.text.names import is_text, printable, shell_word
from recipes.command_line import RECIPE, CommandLine
from recipes.schema import recipe_schema
from runtime.processes import REPOSITORY

FAILED = 1
TEMPLATES = Path(__file__).parent / "new_project"
SCHEMA = "recipe.schema.json"  # recipe.yaml's first line names it
PHOTOS = "photos"  # where a project keeps them unless --photos says otherwise


class InitError(ValueError):
    """A project that cannot be written: one sentence."""


def main(arguments: list[str] | None = None) -> int:
    """Write the project; the exit code: 0, 1 after one sentence, 2 for a wrong option."""
    options = parsed(arguments)
    try:
        folder = create(options.folder, options.photos)
    except (InitError, OSError) as error:
        print(f"init: failed: {printable(sentence_of(error))}", file=sys.stderr)
        return FAILED
    print(f"init: wrote {', '.join(sorted(os.listdir(folder)))} to '{folder}'")
    print(f"init: next: cd {shell_word(folder)}; {_next_step(options.photos)}slipway train")
    return 0


def create(folder: Path, photos: Path | None) -> Path:
    """Write a project; its absolute folder. InitError where it must not be."""
    folder = folder.absolute()
    check_place(folder)
    if photos and not photos.exists():  # a file may be an archive or a list, as in prepare
        raise InitError(f"--photos: there is no folder or file '{photos}'")
    place = str(photos.resolve()) if photos else PHOTOS
    names = {
        "title": folder.name,
        "name": _as_yaml(folder.name),
        "photos_folder": place,
        "photos": _as_yaml(place),
        "checkout": str(REPOSITORY),
    }
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write_files(folder, names, own_photos=photos is None)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was new, or empty
        raise
    return folder


def check_place(folder: Path) -> None:
    """InitError where a project would overwrite something, or change the checkout."""
    if not is_text(str(folder)):
        raise InitError(f"the name '{printable(folder)}' is not UTF-8; give another name")
    if not folder.name.isprintable():
        raise InitError(f"the name '{printable(folder.name)}' has a line end, a tab or the like")
    if folder.exists() and not folder.is_dir():
        raise InitError(f"'{folder}' is a file; give another name")
    if folder.is_dir() and any(folder.iterdir()):
        raise InitError(f"the folder '{folder}' is not empty; give another name")
    if folder.resolve().is_relative_to(REPOSITORY):
        raise InitError(
            f"'{folder}' lies in Slipway's checkout; a project lies outside of it, "
            "so give another folder"
        )


def _write_files(folder: Path, names: dict[str, str], own_photos: bool) -> None:
    _render(folder / RECIPE, names)
    _render(folder / "README.md", names)
    shutil.copyfile(TEMPLATES / "gitignore", folder / ".gitignore")
    (folder / "code").mkdir()
    _render(folder / "code" / "hooks.py", names)
    schema = json.dumps(recipe_schema(), indent=2) + "\n"
    (folder / SCHEMA).write_text(schema, encoding="utf-8")
    if own_photos:
        (folder / PHOTOS).mkdir()


def _render(path: Path, names: dict[str, str]) -> None:
    template = (TEMPLATES / f"{path.name}.j2").read_text(encoding="utf-8")
    made = jinja2.Template(template, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    path.write_text(made.render(names), encoding="utf-8")


def _as_yaml(text: str) -> str:
    """A text as YAML reads it back, in quotes where it needs them."""
    listed: str = yaml.safe_dump([text], allow_unicode=True, width=sys.maxsize)
    return listed.removeprefix("- ").rstrip("\n")


def _next_step(photos: Path | None) -> str:
    if photos:
        return ""
    return f"put a folder of photos for each class into {PHOTOS}/; "


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="init", description=__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="NAME", help="the project's folder; its last part is the name"
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="the photos, which stay where they are: a folder for each class "
        "(default: photos in the project)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
