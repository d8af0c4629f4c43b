"""The trace events of one file, in Chrome's format, to spans.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU has the format.
"""

import re
from typing import Any

# numbers beyond these were damaged
LATEST_S = 4_102_444_800  # the year 2100
LONGEST_S = 30 * 86400  # a training's limit on SageMaker
LARGEST_ID = 1e18  # of a step or a process

SpanKey = tuple[str, str, str]  # worker, phase, name
SpanRow = tuple[float, float, int, int]  # start and duration in seconds, step, process
NO_STEP = -1


class SpanReader:
    """Adds one file's events to spans.

    Metadata before the events sets the names of phases, and the time that the file's 0 stands for.
    """

    def __init__(self, file_name: str, spans: dict[SpanKey, list[SpanRow]]) -> None:
        parts = file_name.split("_")
        if parts[0].isdigit() and len(parts) > 1:
            parts.pop(0)  # SageMaker begins the name with a time
        # SageMaker names the rank, or the process, before the host
        self._worker = re.sub(r"^(\d+)-(.+)$", r"\2-\1", parts[0])
        self._spans = spans
        self._zero_us = 0.0
        self._phases: dict[Any, str] = {}  # by the event's pid
        self._begun: dict[Any, list[dict[str, Any]]] = {}  # begin events without an end yet

    def add(self, event: dict[str, Any]) -> bool:
        """Keep a span; False where the event is damaged."""
        try:
            return self._add(event)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
            return False

    def _add(self, event: dict[str, Any]) -> bool:
        match event["ph"]:
            case "M":
                self._add_metadata(event)
                return True
            case "B":
                self._begun.setdefault(event["pid"], []).append(event)
                return True
            case "E":
                begun = self._begun[event["pid"]].pop()
                return self._add_span(begun, event["ts"] - begun["ts"])
            case "X":
                return self._add_span(event, event["dur"])
            case _:
                return True  # marks of a moment say nothing about time spent

    def _add_metadata(self, event: dict[str, Any]) -> None:
        arguments = event.get("args") or {}
        zero_us = arguments.get("start_time_since_epoch_in_micros", self._zero_us)
        self._zero_us = float(zero_us)
        if event["name"] == "process_name" and "name" in arguments:
            self._phases[event["pid"]] = str(arguments["name"])

    def _add_span(self, event: dict[str, Any], duration_us: Any) -> bool:
        arguments = event.get("args") or {}
        start = (self._zero_us + float(event["ts"])) / 1e6
        duration = float(duration_us) / 1e6
        step = int(arguments.get("step_num", NO_STEP))
        pid = int(arguments.get("pid", 0))
        if not 0 <= start <= LATEST_S or not 0 <= duration <= LONGEST_S:
            return False
        if not max(abs(step), abs(pid)) < LARGEST_ID:
            return False
        phase = self._phases.get(event["pid"], "Unknown")
        key = (self._worker, phase, str(event["name"]))
        self._spans.setdefault(key, []).append((start, duration, step, pid))
        return True
