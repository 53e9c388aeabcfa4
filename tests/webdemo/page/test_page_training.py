"""The page on trainings in a real browser: a training watched from start to end, stopped, and started again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncore.training.recorder import read_digits, read_history, read_live, read_snapshot, read_status, set_status
from tests.webdemo.browser import Page, Server
from tests.webdemo.made_runs import make_run
from webdemo.app import create_app

LONG = 120.0  # seconds: a process that imports Numba on a busy machine


class TrainingPage(Page):
    """A visit to /training."""

    def open(self) -> None:
        self.driver.get(f"{self.server.address}training")
        self.wait(
            lambda: self.script(
                "return document.querySelector('#runs-none[hidden], #runs-none:not([hidden])') !== null"
            ),
            "the page",
        )

    def text(self, name: str) -> str:
        return super().text("looked" if name == "verdict" else name)  # what is said of a test that waits in vain

    def choose(self, **values: object) -> None:
        """Fill in the form."""
        for name, value in values.items():
            self.script(
                "document.getElementById(arguments[0]).value = arguments[1]", name.replace("_", "-"), str(value)
            )

    def names(self) -> list[str]:
        return self.script("return [...document.querySelectorAll('#runs .name')].map((each) => each.textContent)")

    def states(self) -> list[str]:
        return self.script("return [...document.querySelectorAll('#runs .state')].map((each) => each.textContent)")

    def item(self, name: str, what: str) -> Any:
        """A button or the box of a run in the list, as soon as the run is there."""
        by, where = "css selector", f"[aria-label='{what} {name}']"
        if what == "box":
            by, where = "xpath", f"//li[.//span[text()='{name}']]//input"
        return self.wait(lambda: self.driver.find_elements(by, where), f"{what!r} of {name}")[0]

    def verdicts(self) -> list[str]:
        return self.script("return [...document.querySelectorAll('#watched b')].map((each) => each.textContent)")

    def paths(self, chart: str) -> list[int]:
        """How many points each line of a chart has, the thin lines first."""
        return self.script(
            """return [...document.querySelectorAll(`#${arguments[0]} path`)]
            .map((path) => path.getAttribute("d").split(/[ML]/).length - 1)""",
            chart,
        )


@pytest.fixture
def page(chromium: Any, weights: Path, runs: Path, few_digits: Path, monkeypatch) -> Iterator[TrainingPage]:
    monkeypatch.setenv("NNCORE_DATA", str(few_digits))
    app = create_app(weights, runs=runs, trainings=True)
    server = Server(app)
    page = TrainingPage(chromium, server)
    page.look()
    page.errors()
    yield page
    errors = page.errors()
    chromium.get("about:blank")
    app.extensions["trainer"].close()
    server.stop()
    assert not errors


def expected_verdicts(folder: Path, epoch: int) -> list[str]:
    """As the page words them."""
    read = read_snapshot(folder, epoch).probabilities.argmax(axis=1)
    return [f"{'✓' if a == b else '✗'} {a}" for a, b in zip(read, read_digits(folder)[1], strict=True)]


def test_a_training_watched_from_start_to_end(page: TrainingPage, runs: Path):
    page.open()
    page.wait(lambda: page.text("runs-none") and page.find("runs-none").is_displayed(), "the words that there is none")
    # So many epochs that the page, which asks once a second, sees it on its way
    page.choose(learning_rate=0.01, epochs=50, limit=1000, seed=5)
    page.click("start")
    (name,) = page.wait(page.names, "the run")
    seen = set()

    def finished() -> bool:
        seen.add(page.text("moment"))
        return page.states() == ["finished"]

    page.wait(finished, "its end", LONG)
    page.wait_for("moment", "After epoch 50")
    assert len(seen) > 1  # it was followed
    page.wait(lambda: page.paths("loss")[1:] == [50], "the whole curve")
    folder = runs / name
    assert page.paths("loss")[0] == len(read_live(folder)) >= 50
    settings = json.loads((folder / "config.json").read_text())
    assert (settings["learning_rate"], settings["epochs"], settings["limit"], settings["seed"]) == (0.01, 50, 1000, 5)
    page.wait(lambda: page.verdicts() == expected_verdicts(folder, 50), "the verdicts")
    cells = page.script(
        "return [...document.querySelectorAll('#confusion td')].map((cell) => Number(cell.textContent))"
    )
    np.testing.assert_array_equal(np.reshape(cells, (10, 10)), read_snapshot(folder, 50).confusion)
    right = 100 * read_history(folder)[-1]["validation_accuracy"]
    assert f"epoch 50 of 50, {right:.1f} % correct" in page.text("runs")
    page.screenshot("training-finished")


def test_stopped_and_started_again(page: TrainingPage, runs: Path):
    page.open()
    page.choose(epochs=50)
    page.click("start")
    (name,) = page.wait(page.names, "the run")
    page.wait(lambda: page.text("moment").startswith("After epoch"), "an epoch", LONG)
    refused = page.driver.execute_async_script(
        """const done = arguments[0];
        const body = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
        fetch("/api/training", body).then((answer) => answer.json()).then((body) => done(body))"""
    )
    assert refused["status"] == 409
    assert f"{name} is being trained" in refused["detail"]
    page.expected_errors = ("409",)
    page.click("stop")
    page.wait(lambda: page.states() == ["stopped"], "its end", LONG)
    page.wait(lambda: page.find("start").is_enabled(), "leave to start another")
    before = len(read_history(runs / name))
    assert 1 <= before < 50
    page.screenshot("training-stopped")

    page.item(name, "Go on with").click()
    page.wait(lambda: page.states() == ["learning now"], "it to go on", LONG)
    page.wait(lambda: len(read_history(runs / name)) > before, "another epoch", LONG)
    page.click("stop")
    page.wait(lambda: page.states() == ["stopped"], "its end", LONG)
    epochs = [row["epoch"] for row in read_history(runs / name)]
    assert epochs == list(range(1, len(epochs) + 1))
    assert page.names() == [name]


def test_a_run_of_a_terminal_appears_by_itself_and_its_failure_is_told(page: TrainingPage, runs: Path):
    make_run(runs, "before", epochs=2)
    page.open()
    page.wait(lambda: page.names() == ["before"], "the run from before")
    page.wait_for("looked", "before")
    folder = make_run(runs, "during", epochs=2, done=0, learning_rate=9.0)
    set_status(folder, "training")
    page.wait(lambda: page.names() == ["during", "before"], "the run that began now")
    page.wait_for("looked", "during")
    page.wait_for("moment", "Before training")
    for step in (1, 2, 3):  # curves move within the first epoch, too
        with (folder / "live.csv").open("a") as file:
            file.write(f"{step},{step / 10},{3 / step},0.5,0.1\n")
        page.wait(lambda step=step: step in page.paths("loss"), "the point of that moment")
    set_status(folder, "failed", "the loss is nan at step 3. Try a smaller --learning-rate.")
    page.wait(lambda: page.states() == ["failed", "finished"], "the failure")
    assert "the loss is nan at step 3" in page.text("runs")
    (runs / "broken").mkdir()
    page.wait(lambda: sorted(page.states()) == ["cannot be read", "failed", "finished"], "the broken run")
    page.screenshot("training-failed")


def test_the_slider_goes_back_through_time_by_keyboard(page: TrainingPage, runs: Path):
    from selenium.webdriver import Keys

    folder = make_run(runs, "run", epochs=4)
    page.open()
    page.wait_for("moment", "After epoch 4")
    slider = page.find("slider")
    slider.send_keys(Keys.ARROW_LEFT)
    page.wait_for("moment", "After epoch 3")
    page.wait(lambda: page.verdicts() == expected_verdicts(folder, 3), "the verdicts of epoch 3")
    held_out, learned = page.text("measured").split(". ", 1)
    assert held_out.endswith("% correct, loss 0.250")
    assert learned.startswith("Images it learned from, meanwhile: 60.0 % correct, loss 0.3")
    slider.send_keys(Keys.HOME)
    page.wait_for("moment", "Before training")
    page.wait(lambda: page.verdicts() == expected_verdicts(folder, 0), "the verdicts of before")
    assert slider.get_attribute("aria-valuetext") == "Before training"
    assert page.find("confusion-none").is_displayed()
    page.driver.find_element("css selector", "h1").click()
    page.script("document.activeElement.blur()")
    page.press(Keys.ARROW_RIGHT)
    page.wait_for("moment", "After epoch 1")
    page.wait(lambda: page.verdicts() == expected_verdicts(folder, 1), "the verdicts of epoch 1")
    kernel = read_snapshot(folder, 1).filters[:, :, 0]
    shown = page.script(
        """const [canvas] = document.querySelectorAll("#filters canvas");
        return [...canvas.getContext("2d").getImageData(0, 0, 3, 3).data].filter((_, i) => i % 4 === 0)"""
    )
    assert page.script("return document.querySelectorAll('#filters canvas').length") == kernel.shape[2]
    is_red = np.array(shown) > 170  # the red of red and of white is more than that of blue, of all but weak weights
    strong = np.abs(kernel[:, :, 0].ravel()) > 0.6 * np.abs(kernel).max()
    np.testing.assert_array_equal(is_red[strong], (kernel[:, :, 0].ravel() > 0)[strong])
    page.click("play")
    page.wait_for("moment", "After epoch 4")
    page.wait_for("play", "Play")
    mark = page.script("const mark = document.querySelector('#loss .mark'); return Number(mark.getAttribute('x1'))")
    page.click("back")
    page.wait(
        lambda: page.script("return Number(document.querySelector('#loss .mark').getAttribute('x1'))") < mark,
        "the mark",
    )
    # The latest epoch is followed by who is at the end, not by who looks back.
    page.wait_for("moment", "After epoch 3")


def test_two_runs_are_overlaid(page: TrainingPage, runs: Path):
    for number, (name, rate, limit) in enumerate([("slow", 0.001, 10_000), ("fast", 0.5, None)]):
        folder = make_run(runs, name, epochs=3, learning_rate=rate, limit=limit, loss=2.0 + number)
        os.utime(folder / "config.json", (1e9 + number, 1e9 + number))
    page.open()
    page.wait(lambda: page.text("legend") == "fast: learning rate 0.5, optimizer adam, epochs 3", "the newest alone")
    assert page.paths("loss") == [3, 3]
    page.item("slow", "box").click()
    page.wait(lambda: page.paths("loss") == [3, 3, 3, 3], "both")
    assert page.text("legend") == "fast: learning rate 0.5, all imagesslow: learning rate 0.001, 10,000 images"
    colours = page.script(
        "return [...document.querySelectorAll('#loss path.firm')].map((path) => getComputedStyle(path).stroke)"
    )
    assert len(set(colours)) == 2
    assert page.text("looked") == "fast"
    page.item("slow", "Look inside").click()
    page.wait_for("looked", "slow")
    page.item("fast", "box").click()
    page.wait(lambda: page.paths("accuracy") == [3, 3], "one")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_axe_finds_nothing_serious(page: TrainingPage, runs: Path, theme: str):
    for number, (name, rate) in enumerate([("slow", 0.001), ("fast-with-a-rather-long-name-of-its-own", 0.5)]):
        folder = make_run(runs, name, epochs=5, learning_rate=rate, loss=2.0 + 100 * number)
        os.utime(folder / "config.json", (1e9 + number, 1e9 + number))
    page.look(prefers_color_scheme=theme)
    page.open()
    page.wait_for("moment", "After epoch 5")
    page.item("slow", "box").click()
    page.wait(lambda: len(page.paths("loss")) == 4, "both")
    page.wait(lambda: page.find("snapshot").is_displayed(), "the digits")
    assert page.axe() == []
    for width in (320, 768, 1280):
        page.look(width, 900, phone=width < 1000, prefers_color_scheme=theme)
        page.wait(lambda width=width: page.script("return document.documentElement.scrollWidth") == width, "the width")
        page.wait(lambda: page.script("return document.querySelector('#loss svg').clientWidth") > 200, "the charts")
        page.screenshot(f"training-{width}-{theme}")


def test_a_refusal_is_told_until_it_is_closed_and_a_server_that_is_gone_until_it_is_back(
    page: TrainingPage, runs: Path
):
    gone = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_SOCKET_NOT_CONNECTED")
    page.expected_errors = ("409", *gone)
    make_run(runs, "run", epochs=3, done=1)
    page.open()
    resume = page.item("run", "Go on with")
    page.script("clearTimeout = () => {}; window.setTimeout = () => {}")  # the page asks no more
    set_status(runs / "run", "finished")
    resume.click()
    page.wait_for_problem("Only a run that was stopped can go on")
    page.click("problem-close")
    page.wait(lambda: not page.problem(), "the words to go")
    page.open()
    page.server.stop()
    page.wait_for_problem("The server does not answer.")
    page.server.start()
    page.wait(lambda: not page.problem(), "the words to go")


def test_where_trainings_are_not_allowed_it_says_so(chromium: Any, weights: Path, runs: Path):
    make_run(runs, "stopped", epochs=3, done=1)
    server = Server(create_app(weights, runs=runs))
    page = TrainingPage(chromium, server)
    page.open()
    page.wait(lambda: "--allow-training" in page.text("start-note"), "the reason")
    assert not page.find("start").is_enabled()
    assert not page.item("stopped", "Go on with").is_displayed()
    chromium.get("about:blank")
    server.stop()
    assert read_status(runs / "stopped") == ("stopped", "")
