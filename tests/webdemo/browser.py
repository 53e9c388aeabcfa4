"""The page in a real browser: a server that can be stopped in the middle, and hands that draw on the pad.

Needs Chromium and its driver, which Debian has as `chromium` and `chromium-driver`.
"""

import base64
import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from PIL import Image
from werkzeug.serving import WSGIRequestHandler, make_server

from nncore.types import Bytes

SIDE = 280  # units: the pad is so wide and high, whatever its size on the screen
PATIENCE = 10.0  # seconds until a state that should come is missed
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"

Points = Iterable[tuple[float, float]]

SEVEN: list[Points] = [[(80, 64), (140, 61), (200, 62), (172, 118), (148, 174), (132, 230)]]
ONE: list[Points] = [[(140, 60), (139, 110), (138, 160), (137, 225)]]
THREE: list[Points] = [
    [(88, 76), (120, 54), (158, 56), (180, 82), (168, 114), (130, 134)],
    [(130, 134), (170, 142), (194, 172), (186, 208), (148, 230), (108, 226), (80, 206)],
]


def missing() -> str | None:
    """Why there can be no browser here; None if there can."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt-get install chromium chromium-driver)"
    return None if find_spec("selenium") else "selenium is not installed"


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Keep the log for what tests want to see."""


class Server:
    """A Flask application on a free port of this machine; it can be stopped, and started again on the same port."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._port = 0
        self.start()

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self._port, self._app, threaded=True, request_handler=Quiet)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}/"


def start_chromium() -> Any:
    """Chromium without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")  # which containers rarely allow
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--hide-scrollbars")
    # A mouse that can hover, because a machine without a screen reports none.
    options.add_argument("--blink-settings=primaryHoverType=2,availableHoverTypes=2")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


class Page:
    """One visit to the page."""

    def __init__(self, driver: Any, server: Server) -> None:
        self.driver = driver
        self.server = server
        self.expected_errors: tuple[str, ...] = ()  # parts of the console messages that a test provokes

    def forget(self) -> None:
        """Let the browser forget what it kept for the page."""
        self.command("Storage.clearDataForOrigin", origin=self.server.address.rstrip("/"), storageTypes="all")

    def open(self) -> None:
        """Load the page anew, and wait until its modules run."""
        self.driver.get(self.server.address)
        self.wait(lambda: self.text("verdict"), "the page to start")

    def look(self, width: int = 1280, height: int = 900, *, phone: bool = False, **media: str) -> None:
        """Be a screen of this size, with media features such as `prefers_color_scheme="dark"`."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.command("Emulation.setTouchEmulationEnabled", enabled=phone)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.command("Emulation.setEmulatedMedia", features=features)

    # What the page shows

    def find(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        return str(self.script("return document.getElementById(arguments[0]).textContent", name)).strip()

    def click(self, name: str) -> None:
        self.find(name).click()

    def sample(self, name: str) -> None:
        self.driver.find_element("css selector", f'[aria-label="Try {name}"]').click()

    def enabled(self) -> str:
        """Which of undo, redo and clear can be pressed."""
        return " ".join(name for name in ("undo", "redo", "clear") if self.find(name).is_enabled())

    def pixels(self, canvas: str, expression: str) -> Any:
        """A JavaScript expression of the `data` (RGBA) and the `width` of a canvas."""
        # Of a copy, because browsers advise against reading the one that is drawn on.
        return self.script(
            f"""const canvas = document.getElementById(arguments[0]);
            const {{ width, height }} = canvas;
            const copy = Object.assign(document.createElement("canvas"), {{ width, height }});
            const context = copy.getContext("2d", {{ willReadFrequently: true }});
            context.drawImage(canvas, 0, 0);
            const {{ data }} = context.getImageData(0, 0, width, height);
            return {expression};""",
            canvas,
        )

    def ink(self) -> int:
        """How many pixels of the pad are not empty."""
        return int(self.pixels("pad", "data.filter((value, i) => i % 4 === 3 && value > 0).length"))

    def problem(self) -> str:
        """The error that is shown, if any."""
        return str(self.find("problem").text)

    def bars(self) -> list[str]:
        return list(self.script('return [...document.querySelectorAll("#bars li")].map((row) => row.textContent)'))

    # What a visitor does

    def draw(self, strokes: Iterable[Points], kind: str = "mouse", pressure: float | None = None) -> None:
        """Draw on the pad by "mouse", "touch" or "pen"; points in units of 280."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        pad = self.find("pad")
        self.script("arguments[0].scrollIntoView({ block: 'nearest' })", pad)
        scale = pad.size["width"] / SIDE
        felt: dict[str, Any] = {} if pressure is None else {"pressure": pressure}
        builder = ActionBuilder(self.driver, mouse=PointerInput(kind, f"a {kind}"), duration=8)
        for stroke in strokes:
            first, *rest = [(round((x - SIDE / 2) * scale), round((y - SIDE / 2) * scale)) for x, y in stroke]
            builder.pointer_action.move_to(pad, *first).pointer_down(**felt)
            for point in rest:
                builder.pointer_action.move_to(pad, *point, **felt)
            builder.pointer_action.pointer_up()
        builder.perform()

    def set_width(self, width: int) -> None:
        """Choose the width of the pen."""
        self.script(
            "const [slider, width] = arguments; slider.value = width; slider.dispatchEvent(new Event('input'))",
            self.find("width"),
            width,
        )

    def press(self, *keys: str) -> None:
        """Press keys together, such as Keys.CONTROL and "z", where the focus is."""
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver, duration=0)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in keys[:-1]:
            chain.key_up(key)
        chain.perform()

    # How a test waits, and what it asks of the browser

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def wait(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Until the condition holds; what it returned."""
        until = time.monotonic() + patience
        while not (result := condition()):
            if time.monotonic() > until:
                raise AssertionError(f"waited {patience} s for {what}; verdict: {self.text('verdict')!r}")
            time.sleep(0.02)
        return result

    def wait_for(self, name: str, text: str) -> None:
        self.wait(lambda: self.text(name) == text, f"#{name} to say {text!r}, not {self.text(name)!r}")

    def wait_for_problem(self, words: str) -> None:
        self.wait(lambda: words in self.problem(), f"a problem with {words!r}")

    def answer_with(self, *digits: dict[str, Any], delay: int = 0) -> None:
        """Answer in the server's place: each question, after `delay` milliseconds, by these digits.

        Leaves how many questions there were, and how many at once, in `window.asked` and `window.atOnce`.
        """
        answer = {"digits": [reading(**digit) for digit in digits], "model": "reference", "milliseconds": 1.5}
        self.script(
            """const [answer, delay] = arguments;
            let inFlight = 0;
            window.asked = window.atOnce = 0;
            window.fetch = async () => {
              window.asked++;
              window.atOnce = Math.max(window.atOnce, ++inFlight);
              await new Promise((done) => setTimeout(done, delay));
              inFlight--;
              return new Response(JSON.stringify(answer));
            };""",
            answer,
            delay,
        )

    def axe(self) -> list[str]:
        """What the accessibility checker axe finds serious or critical."""
        self.script((files("selenium_axe_python") / "axe-core" / "axe.min.js").read_text("utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(({ violations }) => done(violations))"
        )
        return [
            f"{each['id']}: {each['help']}: {node['html']}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def screenshot(self, name: str) -> None:
        """The whole page, for people to look at."""
        self.script("document.getAnimations().forEach((animation) => animation.finish())")
        page = self.script("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": page[0], "height": page[1], "scale": 1}
        picture = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        SCREENSHOTS.mkdir(exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))

    def errors(self) -> list[str]:
        """What the browser's console has complained of since the last call, but for what was expected."""
        messages = [json.dumps(entry) for entry in self.driver.get_log("browser")]
        return [each for each in messages if not any(part in each for part in self.expected_errors)]


def reading(
    digit: int, verdict: str = "digit", probabilities: dict[int, float] | None = None, seen: str | None = None
) -> dict[str, Any]:
    """One digit of an answer, certain unless probabilities are given."""
    shares = [0.0] * 10
    for each, share in (probabilities or {digit: 1.0}).items():
        shares[each] = share
    box = [70, 50, 140, 180]
    return {"digit": digit, "probabilities": shares, "verdict": verdict, "box": box, "seen": seen or data_url(BLOCK)}


def data_url(image: Bytes) -> str:
    """A grey picture as the server sends it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


BLOCK = np.zeros((28, 28), np.uint8)  # what the network saw, in an answer that a test makes up
BLOCK[4:24, 9:19] = np.arange(200).reshape(20, 10) + 56
