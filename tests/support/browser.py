"""A real Chromium for tests: its DevTools protocol over two pipes, without a package or a port."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
)
WAIT_S = 20.0


class Browser:
    """One tab. What the page logs as an error, and every URL that it asks for, is kept."""

    def __init__(self, commands: int, answers: int):
        self._commands = os.fdopen(commands, "wb", 0)
        self._answers = os.fdopen(answers, "rb", 0)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self.errors: list[str] = []
        self.asked: list[str] = []
        # part of a URL to (status, JSON): the browser gets these instead of the network's answer
        self.fulfil: dict[str, tuple[int, str]] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Fetch.enable", patterns=[{"urlPattern": "https://*"}])

    def call(self, method: str, **parameters: object) -> dict:
        """The result of one command of the protocol."""
        number = self._send(method, parameters)
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                return message["result"]
            self._note(message)

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a page in a window of that many pixels."""
        self.errors = []
        self.asked = []
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, expression: str) -> object:
        """The JSON value of an expression in the page; promises are awaited."""
        done = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, expression: str) -> object:
        """The expression's first true value; fails if none comes."""
        end = time.monotonic() + WAIT_S
        while not (value := self.run(expression)):
            assert time.monotonic() < end, (
                f"never true: {expression}; "
                f"on the page: {self.run('document.body.innerText')!r}; errors: {self.errors}"
            )
            time.sleep(0.02)
        return value

    def text(self, name: str) -> str:
        """The text of the element with an id; empty where it is hidden."""
        element = f"document.getElementById({json.dumps(name)})"
        return str(self.run(f"(e => e.offsetParent ? e.innerText : '')({element})"))

    def drop(self, *files: Path) -> None:
        """Drag files from outside onto the page."""
        # 1: the page may copy what is dropped.
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        # The page gets a drop only after these two.
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=200, y=200, data=data)

    def choose(self, name: str, file: Path) -> None:
        """Give a file to the input with an id, as its dialog does."""
        node = self.call(
            "Runtime.evaluate", expression=f"document.getElementById({json.dumps(name)})"
        )["result"]["objectId"]
        self.call("DOM.setFileInputFiles", objectId=node, files=[str(file)])

    def press(self, key: str, code: int) -> None:
        """One key, pressed and let go."""
        # Without a text the browser sends the page no character.
        text = {"text": "\r"} if key == "Enter" else {}
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key=key,
            code=key,
            windowsVirtualKeyCode=code,
            **text,
        )
        self.call(
            "Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code
        )

    def photograph(self, file: Path) -> None:
        """The whole page as a PNG."""
        height = self.run("document.documentElement.scrollHeight")
        width = self.run("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        file.write_bytes(
            base64.b64decode(
                self.call(
                    "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
                )["data"]
            )
        )

    def _send(self, method: str, parameters: dict) -> int:
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        self._commands.write(
            json.dumps({"id": number, "method": method, "params": parameters, **session}).encode()
            + b"\0"
        )
        return number

    def _next(self) -> dict:
        # A message ends with a zero byte; a read may give less than one, or several.
        while b"\0" not in self._rest:
            chunk = self._answers.read(1 << 20)
            assert chunk, "the browser has gone"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _note(self, message: dict) -> None:
        method = message.get("method")
        parameters = message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        elif method == "Fetch.requestPaused":
            self._fulfil(parameters["requestId"], parameters["request"]["url"])

    # What no answer is prepared for must not leave this machine.
    def _fulfil(self, request: str, url: str) -> None:
        for part, (status, body) in self.fulfil.items():
            if part in url:
                headers = [
                    {"name": "Access-Control-Allow-Origin", "value": "*"},
                    {"name": "Content-Type", "value": "application/json"},
                ]
                self._send(
                    "Fetch.fulfillRequest",
                    {
                        "requestId": request,
                        "responseCode": status,
                        "responseHeaders": headers,
                        "body": base64.b64encode(body.encode()).decode(),
                    },
                )
                return
        self._send(
            "Fetch.failRequest", {"requestId": request, "errorReason": "InternetDisconnected"}
        )


def chromium() -> str:
    """The browser's program. Without one the test is skipped; with REQUIRE_CHROMIUM=1 it fails."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    message = (
        "no Chromium is installed (Debian: apt-get install chromium), so the page is not tested"
    )
    if os.environ.get("REQUIRE_CHROMIUM") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def browsing(profile: Path, *flags: str):
    """A Browser with a profile of its own; the process and its children are gone afterwards."""
    program = chromium()
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    # The protocol's pipes are the browser's file descriptors 3 and 4. bash puts them there, because
    # plain sh knows no descriptors of two digits.
    command = [
        "bash",
        "-c",
        f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}',
        program,
        *FLAGS,
        *flags,
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    process = subprocess.Popen(
        command,
        pass_fds=(to_read, from_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The browser has copies of its own; ours would hide its end from us.
    os.close(to_read)
    os.close(from_write)
    browser = Browser(to_write, from_read)
    try:
        yield browser
    finally:
        # The command is the browser's, not that of the page behind the session.
        browser._session = None
        browser._send("Browser.close", {})
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        browser._commands.close()
        browser._answers.close()


def file(folder: Path, name: str, data: bytes) -> Path:
    """A file of these bytes, for the page to take."""
    (folder / name).write_bytes(data)
    return folder / name


def answered(page: "Browser", text: str) -> None:
    """Wait until the page shows this answer."""
    page.until(f"document.getElementById('answer').innerText === {json.dumps(text)}")
