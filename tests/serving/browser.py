"""A headless Chromium that tests drive through the DevTools protocol, over two pipes."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
    *("--remote-debugging-pipe", "--mute-audio", "--hide-scrollbars"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
_SECONDS = 90.0
_LEAST_DESCRIPTOR = 20
"""Above those that Chromium reads, 3 and 4, and those that the shell uses itself."""


class Browser:
    """A browser with one page, which ``close`` ends.

    Args:
        folder: The folder of its profile.
        flags: Further flags of Chromium.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        pipes = [*os.pipe(), *os.pipe()]
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR) for end in pipes]
        for end in pipes:
            os.close(end)
        commands, self._send, self._receive, answers = ends
        self._process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "bash"),
                *(BROWSER, *_FLAGS, f"--user-data-dir={folder}", *flags, "about:blank"),
            ],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        self._pending, self._number, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Performance", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol, and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._send, content) :]
        end = time.monotonic() + _SECONDS
        while True:
            answer = self._next(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def _next(self, end: float) -> dict[str, Any]:
        """Returns the next message, which a zero byte ends."""
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"Chromium does not answer within {_SECONDS} s"
            content = os.read(self._receive, 1 << 20)
            assert content, "Chromium has ended"
            self._pending += content
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        """Opens a page, and waits until its modules have run."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.body?.dataset.ready !== undefined")

    def value(self, expression: str) -> Any:
        """Returns the value of an expression, or of its promise; raises what it raises."""
        done = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def of_view(self, expression: str) -> Any:
        """Returns the value of an expression of ``view``, what the page shows."""
        module = 'import(new URL("main.js", document.baseURI).href)'
        return self.value(f"{module}.then(async ({{view}}) => ({expression}))")

    def wait_for(self, expression: str, seconds: float = _SECONDS) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"{expression} is not true: {self.message}"
            time.sleep(0.02)

    def choose(self, path: Path) -> None:
        """Chooses a picture, and waits until all networks have answered it or failed."""
        found = self.call("Runtime.evaluate", expression='document.getElementById("file")')
        handle = found["result"]["objectId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], objectId=handle)
        self.wait_until_idle(path.name)

    def wait_until_idle(self, name: str = "") -> None:
        """Waits until the page has answered what it shows."""
        busy = 'document.getElementById("networks").ariaBusy'
        self.wait_for(f'{busy} !== "true" && document.getElementById("file").value === ""')

    @property
    def message(self) -> str:
        """The sentence at the top of the page."""
        return self.value('document.getElementById("message").textContent')

    def screenshot(self, path: Path, size: Sequence[int], scale: float = 1.0) -> None:
        """Writes what a window of a width and a height shows as a picture."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": True},
        )
        kind = {"format": "jpeg", "quality": 85} if path.suffix == ".jpg" else {"format": "png"}
        shot = self.call("Page.captureScreenshot", **kind)
        path.write_bytes(base64.b64decode(shot["data"]))

    def heap(self) -> int:
        """The bytes of JavaScript objects, after those that are garbage were collected."""
        self.call("HeapProfiler.collectGarbage")
        metrics = self.call("Performance.getMetrics")["metrics"]
        return next(item["value"] for item in metrics if item["name"] == "JSHeapUsedSize")

    def resident(self) -> int:
        """The bytes of memory that the process of the page has."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        return max(
            child.memory_info().rss for child in children if "--type=renderer" in child.cmdline()
        )

    def close(self) -> None:
        """Ends the browser and its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for end in (self._send, self._receive):
            os.close(end)
