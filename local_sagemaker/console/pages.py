"""The console's pages as bytes: which template, and with which values."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jinja2

from artifact.pages.page import page_environment, rendered
from artifact.text.numbers import counted, percent
from local_sagemaker.access.access import EXPORTS, as_exports, read_exports
from local_sagemaker.console import details, results, rows, words
from local_sagemaker.console.asking import Answer
from local_sagemaker.console.kinds import KINDS, RUNNING, Kind, tone
from local_sagemaker.console.log_tail import tails
from local_sagemaker.options import PROGRAM
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from recipes.command_line import typed

FOLDER = Path(__file__).parent
SCRIPT = (FOLDER / "live.js").read_text(encoding="utf-8")
OVERVIEW_ROWS = 6  # of each kind
LIST_ROWS = 50
LONGEST_NUMBER = 6  # digits of a page's number


@functools.cache
def _templates() -> jinja2.Environment:
    filters: dict[str, Callable[..., str]] = {"percent": percent, "count": counted}
    return page_environment(FOLDER, filters)


class Pages:
    """All pages of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._templates = _templates()

    def overview(self) -> bytes:
        lists = []
        total = 0
        for kind in KINDS.values():
            page = rows.page(kind, self._platform, OVERVIEW_ROWS)
            running = rows.running(kind, self._platform)
            total += page.count
            lists.append({"kind": kind, "page": page, "running": running})
        return self._filled(
            "overview.html.j2",
            title="Local SageMaker",
            lists=lists,
            nothing=total == 0,
            exports=self._exports(),
            env_command=f'eval "$({typed(PROGRAM)} env)"',
            engine=self._platform.container_engine.name,
            folder=str(self._platform.folder),
        )

    def listed(self, kind: Kind, asked: Mapping[str, str]) -> bytes:
        """A kind's list. asked: the address's name, state and page."""
        name = asked.get("name", "")
        state = asked.get("state", "")
        at = asked.get("page", "1")
        number = 1
        if at.isascii() and at.isdigit():
            number = int(at[:LONGEST_NUMBER])
        return self._filled(
            "list.html.j2",
            title=kind.title,
            kind=kind,
            page=rows.page(kind, self._platform, LIST_ROWS, number, name, state),
            states=rows.states(kind, self._platform),
            name=name,
            state=state,
        )

    def one(
        self,
        kind: Kind,
        record: Record,
        token: str,
        refusal: str = "",
        answers: Sequence[Answer] = (),
    ) -> bytes:
        """The page of one job, endpoint or model. refusal: why what was asked for is not done."""
        name = kind.name(record)
        is_endpoint = kind.path == "endpoints"
        logs = []
        if kind.logs:
            logs = tails(self._platform.folder / "logs", kind.logs, name)
        return self._filled(
            "one.html.j2",
            title=name,
            kind=kind,
            name=name,
            token=token,
            state=rows.state_words(kind, record),
            tone=tone(kind.state(record)),
            facts=details.facts(kind, record),
            links=details.links(kind, record),
            reason=record.get("FailureReason", ""),
            refusal=refusal,
            can_stop=details.can_stop(kind, record),
            can_interrupt=details.can_interrupt(kind, record),
            charts=results.charts(kind, self._platform, record),
            usage=results.usage(kind, self._platform, record),
            results=results.results(kind, self._platform, record),
            settings=details.settings(kind, record),
            logs=logs,
            whole=details.whole(kind, record),
            asks=is_endpoint and kind.state(record) == "InService",
            multi_model=is_endpoint and details.is_multi_model(self._platform, record),
            answers=answers,
        )

    def locked(self, sentence: str) -> bytes:
        """The page for whoever has no cookie."""
        return self._plain("Local SageMaker", sentence, f"{typed(PROGRAM)} link")

    def opened(self) -> bytes:
        return self._plain("Local SageMaker", "The console is open in this browser.", "")

    def failed(self, sentence: str) -> bytes:
        return self._plain("Not done", sentence, "", home=True)

    def _plain(self, title: str, sentence: str, command: str, home: bool = False) -> bytes:
        return rendered(
            self._templates,
            "sentence.html.j2",
            title=title,
            sentence=sentence,
            command=command,
            home=home,
        )

    def _filled(self, template: str, **values: object) -> bytes:
        return rendered(
            self._templates,
            template,
            SCRIPT,
            "",
            own_server=True,
            kinds=KINDS.values(),
            running_tone=RUNNING,
            now=words.moment(time.time()),
            **values,
        )

    def _exports(self) -> str:
        """What a shell needs; empty where the file has gone."""
        if not (self._platform.folder / EXPORTS).is_file():
            return ""
        return as_exports(read_exports(self._platform.folder))
