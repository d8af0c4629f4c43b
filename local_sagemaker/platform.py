"""What all operations share: the state, the engine, the logs, and what runs right now."""

import threading
from pathlib import Path
from typing import Any

from local_sagemaker.logs import Logs
from local_sagemaker.metric_data import MetricData
from local_sagemaker.metric_history import MetricHistory
from local_sagemaker.store import Store
from runtime.container_engine import make_container_engine


class Platform:
    """All of one server, below one folder. work: what jobs need while they run."""

    def __init__(self, folder: Path, container_engine: str) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.folder / "state")
        self.container_engine = make_container_engine(container_engine, self.folder)
        self.logs = Logs(self.folder / "logs")
        self.metric_data = MetricData()
        self.metric_history = MetricHistory(self.folder / "metrics")
        self.training_usage = MetricHistory(self.folder / "usage" / "training")
        self.processing_usage = MetricHistory(self.folder / "usage" / "processing")
        self.work = self.folder / "work"
        # where asynchronous answers go that no request gives a place
        self.answers = self.folder / "async-inference"
        # how this server's own programs reach it
        self.own_environment: dict[str, str] = {}
        # how containers reach this server; empty where they cannot
        self.container_environment: dict[str, str] = {}
        # the thread behind a record, by kind and name; Any: each kind has methods of its own
        self.running: dict[tuple[str, str], Any] = {}
        self.lock = threading.RLock()

    def start(self, kind: str, name: str, runner: Any) -> None:
        """Have a runner's thread go; it is found by kind and name until it has ended."""
        with self.lock:
            self.running[kind, name] = runner
        runner.start()

    def ended(self, kind: str, name: str) -> None:
        with self.lock:
            self.running.pop((kind, name), None)

    def runner(self, kind: str, name: str) -> Any:
        """The runner behind a record; None when nothing runs for it."""
        with self.lock:
            return self.running.get((kind, name))
