"""What is measured, part by part, in small JSON files: a second start goes on after them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

Found = TypeVar("Found")  # what a part holds, as JSON has it


@dataclass(frozen=True)
class Parts(Generic[Found]):
    """The folder of the parts. A part is NAME.json: the settings that it was measured with, and its
    figures by name.
    """

    folder: Path

    def figures(self, name: str, settings: Mapping[str, object] | None = None) -> Found | None:
        """A part's figures; None where it is not there, or of other settings.

        settings: None for whichever.
        """
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        if settings is not None and found["settings"] != _as_json(settings):
            return None
        figures: Found = found["figures"]
        return figures

    def keep(self, name: str, settings: Mapping[str, object], figures: Found) -> None:
        """Write a part, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"settings": settings, "figures": figures}, indent=2) + "\n"
        unfinished = self.folder / f"{name}.json.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(self.folder / f"{name}.json")

    def measured(
        self, name: str, settings: Mapping[str, object], measure: Callable[[], Found]
    ) -> Found:
        """The part's figures, measured unless an earlier run of these settings left them."""
        found = self.figures(name, settings)
        if found is None:
            found = measure()
            self.keep(name, settings, found)
        return found


def _as_json(settings: Mapping[str, object]) -> object:
    """As JSON reads them back: tuples become lists."""
    return json.loads(json.dumps(settings))
