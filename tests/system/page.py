"""The demo page in a browser that is driven by program: draw strokes on its pad, ask, and read off what it answers.

Strokes are given as a mouse gives them, in whole pixels of the window. `read` makes its events inside the page,
many drawings a call; `read_by_hand` has the browser make them as for a real mouse, which is slower, and shows that the
former draws the same.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from benchmarks.compare.protocol import ROOT, BenchmarkError
from nncore.data.strokes.outliers import PAD
from nncore.types import Array

BATCH = 20  # drawings a call, so that a call takes about a second
PATIENCE = 180  # seconds, for the server to start and for a call: the machine may be busy
WINDOW = "1100,1400"  # pixels, so large that the pad need not be scrolled to

SCRIPT = """
const [drawings, pen, done] = arguments;
const byId = (id) => document.getElementById(id);
const pad = byId("pad");

function send(type, [clientX, clientY], buttons) {
  const button = type === "pointermove" ? -1 : 0;
  const pointer = { pointerId: 1, pointerType: "mouse", isPrimary: true, pressure: buttons / 2 };
  const event = { clientX, clientY, button, buttons, bubbles: true, cancelable: true, composed: true };
  pad.dispatchEvent(new PointerEvent(type, { ...event, ...pointer }));
}

function draw(strokes) {
  for (const stroke of strokes) {
    send("pointerdown", stroke[0], 1);
    for (const point of stroke.slice(1)) send("pointermove", point, 1);
    send("pointerup", stroke[stroke.length - 1], 0);
  }
}

function prepare() {
  if (byId("live").checked) byId("live").click();
  byId("clear").click();
  byId("width").value = pen;
  byId("width").dispatchEvent(new Event("input", { bubbles: true }));
}

// The page writes the answer in one go, and the observer is told when that is done. Where the server was too busy the
// page says so, takes the old answer away, and asks again: that is no answer yet.
const answer = () => new Promise((resolve) => {
  const observer = new MutationObserver(() => {
    if (!byId("problem").hidden) return;
    observer.disconnect();
    resolve({
      milliseconds: performance.now() - began,
      shown: byId("digit").textContent,
      words: byId("verdict").textContent,
      bars: [...byId("bars").children].map((row) => row.textContent),
      time: byId("time").textContent,
      seen: byId("seen").getAttribute("src"),
      drawn: pad.toDataURL(),
    });
  });
  observer.observe(byId("digit"), { childList: true, characterData: true, subtree: true });
  const began = performance.now();
  byId("predict").click();
});
"""
PREPARE = SCRIPT + "prepare(); done();"
ASK = SCRIPT + "answer().then(done);"
READ = (
    SCRIPT + "(async () => {const all = []; for (const d of drawings) {prepare(); draw(d); all.push(await answer());}"
)
READ += "return all;})().then(done);"


class Answer(NamedTuple):
    """What a person sees on the page, and how long it took."""

    verdict: str  # "digit", "unsure", "not a digit", "several digits" or "nothing"
    shown: str  # the digit or digits as the page shows them, such as "7", "26" or "?"
    words: str  # the verdict in the page's own words
    percent: list[float]  # of 0 to 9, as the bars say; none where the page shows none
    page: float  # milliseconds from asking to the answer in the page
    server: float | None  # milliseconds of these in the server, as it says
    seen: str | None  # a data URL: what the network saw
    drawn: str  # a data URL: the pad, black ink on nothing


class Page:
    """The page in a headless Chromium, until `close`. Raises BenchmarkError where that cannot be had."""

    def __init__(self, url: str, chromium: str | None = None, driver: str | None = None) -> None:
        driver = driver or shutil.which("chromedriver")
        chromium = chromium or shutil.which("chromium") or shutil.which("google-chrome")
        if not driver or not chromium:
            raise BenchmarkError(
                "Chromium and its chromedriver are needed, and not found on PATH: install them (Debian: apt install "
                "chromium chromium-driver), or name them by --chromium and --driver"
            )
        try:
            from selenium import webdriver
            from selenium.common.exceptions import WebDriverException
        except ImportError as error:
            raise BenchmarkError(
                f"selenium drives the browser, and is missing ({error}): pip install selenium"
            ) from None
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in ("--headless=new", f"--window-size={WINDOW}", "--force-device-scale-factor=1"):
            options.add_argument(argument)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # without which Chromium does not run as root
        try:
            self._driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
        except WebDriverException as error:
            raise BenchmarkError(f"{chromium} cannot be driven by {driver}: {error.msg}") from error
        self._driver.set_script_timeout(PATIENCE)
        self._url = url
        self.reload()

    def reload(self) -> None:
        """Begin anew, so that the page does not carry the undo steps of everything drawn before."""
        self._driver.get(self._url)
        box = "const box = document.getElementById('pad')?.getBoundingClientRect();"
        box += "return box && [box.x, box.y, box.width]"
        found = self._driver.execute_script(box)
        if not found:
            raise BenchmarkError(f"{self._url} has no pad to draw on: is it the demo page?")
        self._left, self._top, side = found
        self._scale = side / PAD

    def close(self) -> None:
        """End the browser."""
        self._driver.quit()

    def read(self, drawings: Sequence[Sequence[Array]], pen: int) -> Iterator[Answer]:
        """Draw each with a pen of so many pixels of the pad, and have it read.

        A drawing is a list of strokes (points, 2), x and y in pixels of the pad, which is 280 wide and high.
        """
        for start in range(0, len(drawings), BATCH):
            batch = [self._in_window(strokes) for strokes in drawings[start : start + BATCH]]
            yield from map(read_off, self._run(READ, batch, pen))

    def read_by_hand(self, strokes: Sequence[Array], pen: int) -> Answer:
        """The same for one drawing, by a real pointer."""
        self._run(PREPARE, [], pen)
        moves: list[dict[str, object]] = []
        for stroke in self._in_window(strokes):
            for i, (x, y) in enumerate(stroke):
                moves.append({"type": "pointerMove", "duration": 0, "x": x, "y": y})
                moves += [{"type": "pointerDown", "button": 0}] * (i == 0)
            moves.append({"type": "pointerUp", "button": 0})
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}
        self._driver.execute("actions", {"actions": [mouse]})  # W3C WebDriver, "Perform Actions"
        return read_off(self._run(ASK, [], pen))

    def _in_window(self, strokes: Sequence[Array]) -> list[list[tuple[int, int]]]:
        corner = np.array([self._left, self._top])
        return [[(int(x), int(y)) for x, y in np.rint(corner + stroke * self._scale)] for stroke in strokes]

    def _run(self, script: str, drawings: list[list[list[tuple[int, int]]]], pen: int) -> Any:
        from selenium.common.exceptions import WebDriverException

        try:
            return self._driver.execute_async_script(script, drawings, pen)
        except WebDriverException as error:
            problem = self._driver.execute_script("return document.getElementById('problem-words')?.textContent")
            raise BenchmarkError(f"the page at {self._url} gave no answer: {problem or error.msg}") from error


def read_off(found: dict[str, Any]) -> Answer:
    shown, words = found["shown"].strip(), found["words"].strip()
    if shown in ("", "–"):
        verdict = "nothing"
    elif not re.search("[0-9]", shown):
        verdict = "not a digit"
    elif len(shown) > 1:
        verdict = "several digits"
    else:
        verdict = "unsure" if "might" in words.lower() else "digit"
    shares = [re.search(r"([0-9.]+) *%", bar) for bar in found["bars"]]
    server = re.search(r"([0-9.]+) ms", found["time"])
    return Answer(
        verdict,
        shown,
        words,
        [float(share[1]) for share in shares if share],
        found["milliseconds"],
        float(server[1]) if server else None,
        found["seen"],
        found["drawn"],
    )


@contextmanager
def served() -> Iterator[str]:
    """The demo, served on a free port of this machine while the block runs: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "webdemo", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            ends = time.monotonic() + PATIENCE
            while not _answers(f"{url}readyz"):
                if server.poll() is not None or time.monotonic() > ends:
                    log.seek(0)
                    raise BenchmarkError(f"the demo cannot be served: {log.read().decode(errors='replace').strip()}")
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except OSError:
        return False
