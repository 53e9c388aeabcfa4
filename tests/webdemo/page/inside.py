"""The page at /inside in a real browser."""

import base64

import numpy as np

from nncore.types import Bytes
from tests.webdemo.browser import Page


class Inside:
    """A visit to it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, address: str = "inside") -> None:
        self.page.driver.get("about:blank")  # another fragment alone would not load the page
        self.page.driver.get(self.page.server.address + address)
        self.page.wait(lambda: self.page.text("title"), "the network's work")

    @property
    def count(self) -> int:
        return int(self.page.find("position").get_attribute("max")) + 1

    @property
    def position(self) -> int:
        return int(self.page.find("position").get_attribute("value"))

    def go(self, position: int) -> None:
        self.page.script(
            "const [slider, to] = arguments; slider.value = to; slider.dispatchEvent(new Event('input'))",
            self.page.find("position"),
            position,
        )

    def say(self, label: int) -> None:
        """What the digit should have been."""
        before = self.page.text("loss")
        self.page.script(f"document.querySelectorAll('#labels button')[{label}].click()")
        self.page.wait(lambda: self.page.text("loss") != before, "another loss")

    def click(self, at: list[int], sheet: list[int]) -> None:
        """Click on a number of the picture that is shown; `sheet` is the shape of its numbers."""
        canvas = self.page.driver.find_element("css selector", ".step:not([hidden]) canvas")
        x, y = self.page.driver.execute_async_script(
            """const [at, shape, done] = arguments;
            import("/static/js/inside/maps.js").then(({ placeOf, sheetOf }) => done(placeOf(sheetOf(shape), at)));""",
            at,
            sheet,
        )
        self.page.script(
            """const [canvas, x, y] = arguments;
            const box = canvas.getBoundingClientRect();
            const clientX = box.left + ((x + 0.5) * box.width) / canvas.width;
            const clientY = box.top + ((y + 0.5) * box.height) / canvas.height;
            document.getElementById("cell-result").replaceChildren();
            canvas.dispatchEvent(new MouseEvent("click", { clientX, clientY, bubbles: true }));""",
            canvas,
            x,
            y,
        )

    def value(self) -> float:
        self.page.wait(lambda: self.page.script("return !!document.getElementById('cell-value')"), "the number")
        return float(self.page.text("cell-value").replace("−", "-"))

    def image(self) -> Bytes:
        """The digit in the address."""
        fragment = self.page.script("return location.hash.slice(1)")
        return np.frombuffer(base64.b64decode(fragment), np.uint8).reshape(28, 28)

    def shares(self, column: int) -> list[float]:
        texts = self.page.script(
            """const rows = [...document.querySelectorAll(".step:not([hidden]) tbody tr")];
            return rows.map((row) => row.children[arguments[0]].textContent)""",
            column,
        )
        return [float(text.split()[0]) / 100 for text in texts]
