"""The page that shows the network at work, in a real browser: what it shows is what the engine computes."""

import numpy as np
import pytest

from nncore.layers.activations import softmax
from nncore.network.sequential import Sequential
from nncore.optimizers import SGD
from tests.webdemo.browser import SEVEN, THREE, Page
from tests.webdemo.page.inside import Inside
from webdemo.app import WEIGHTS
from webdemo.inside.cells import backward_cell, forward_cell
from webdemo.inside.explain import Explanation


@pytest.fixture
def inside(page: Page) -> Inside:
    inside = Inside(page)
    inside.open()
    return inside


@pytest.fixture(scope="module")
def network() -> Sequential:
    return Sequential.load(WEIGHTS)


def test_the_digit_just_drawn_is_looked_into(page: Page):
    page.draw(THREE)
    page.wait_for("digit", "3")
    page.wait(lambda: "#" in page.find("inside").get_attribute("href"), "the link to take the digit with it")
    page.click("inside")
    page.wait(lambda: page.script("return document.getElementById('said')?.textContent"), "the page")
    assert page.text("said").startswith("It reads a 3, with ")
    assert page.script("return document.querySelectorAll('.step').length") > 10
    page.driver.find_element("link text", "← Draw").click()
    page.wait(lambda: page.text("verdict"), "the way back")


def test_of_two_digits_the_first_is_looked_into_and_that_is_said(inside: Inside):
    page = inside.page
    page.draw([[(x / 2 + shift, y / 2 + 70) for x, y in s] for shift, d in ((-30, THREE), (130, SEVEN)) for s in d])
    page.wait(lambda: page.text("said").startswith("It reads a 3"), "the first")
    assert page.text("said").endswith("This is the first of the 2 that you have drawn.")
    inside.say(5)
    assert page.text("said").endswith("This is the first of the 2 that you have drawn.")
    page.click("clear")
    page.draw(SEVEN)
    page.wait(lambda: page.text("said").startswith("It reads a 7"), "another")
    assert page.text("said").endswith("%.")


def test_numbers_of_random_cells_are_the_engines(inside: Inside, network, rng):
    inside.say(2)
    explanation = Explanation(network, inside.image())
    explanation.trace_back(2)
    layers = len(network.layers)
    for number in range(layers):
        for position, tell, shape in (
            (1 + number, forward_cell, network.shapes[number + 1]),
            (2 + 2 * layers - number, backward_cell, network.shapes[number]),
        ):
            at = [int(rng.integers(length)) for length in shape]
            inside.go(position)
            inside.click(at, list(shape))
            cell = tell(explanation, number, tuple(at))
            where = f"{inside.page.text('title')} {at}"
            assert inside.value() == pytest.approx(cell.value, rel=2e-5, abs=1e-9), where
            shown = inside.page.text("cell-result")
            if cell.rule == "weighted sum" and cell.inputs.size > 1:
                assert f"{cell.inputs.size:,}" in shown, where


def test_the_products_of_a_convolution_and_of_a_dense_layer(inside: Inside, network):
    page, explanation = inside.page, Explanation(network, inside.image())
    numbers = "return [...document.querySelectorAll(arguments[0])].map((cell) => cell.textContent.replace('−', '-'))"
    conv = [type(layer).__name__ for layer in network.layers].index("Conv2D", 1)
    inside.go(conv + 1)
    inside.click([4, 6, 2], list(network.shapes[conv + 1]))
    inside.value()
    cell = forward_cell(explanation, conv, (4, 6, 2))
    products = cell.inputs * cell.weights
    most = abs(products.sum(axis=(0, 1))).argmax()  # the map below that matters most here
    shown = np.array(page.script(numbers, ".grid td"), float).reshape(3, *products.shape[:2])
    for grid, expected in zip(shown, (cell.inputs, cell.weights, products), strict=True):
        np.testing.assert_allclose(grid, expected[..., most], rtol=0.006, atol=1e-6)
    inside.go(len(network.layers))
    inside.click([7], [*network.output_shape])
    inside.value()
    cell = forward_cell(explanation, len(network.layers) - 1, (7,))
    place = np.unravel_index(abs(cell.inputs * cell.weights).argmax(), [s for s in network.shapes if len(s) == 3][-1])
    row = page.script(numbers, ".terms tbody tr:first-child td")
    assert row[0] == ", ".join(map(str, place))
    assert float(row[3]) == pytest.approx(float(row[1]) * float(row[2]), rel=0.002)


def test_the_step_is_one_of_sgd(inside: Inside, network):
    page = inside.page
    inside.say(1)
    inside.go(inside.count - 1)
    before, after = inside.shares(1), inside.shares(2)
    explanation = Explanation(network, inside.image())
    explanation.trace_back(1)
    np.testing.assert_allclose(before, explanation.probabilities, atol=0.0006)
    np.testing.assert_allclose(after, explanation.step(0.001), atol=0.0006)
    learned = Sequential.load(WEIGHTS)  # the same by hand, and as the network then predicts
    again = Explanation(network, inside.image())
    again.trace_back(1)
    SGD(0.001).step(learned.parameters(), again.network.gradients())
    np.testing.assert_allclose(after, softmax(learned.predict(again.outputs[0]))[0], atol=0.0006)
    assert after[1] > before[1]
    page.screenshot("inside-step")
    page.script("const r = document.getElementById('rate'); r.value = -5; r.dispatchEvent(new Event('change'))")
    page.wait(lambda: inside.shares(2) != after, "a smaller step")
    np.testing.assert_allclose(inside.shares(2), again.step(1e-5), atol=0.0006)


def test_through_and_back_by_keyboard(inside: Inside):
    from selenium.webdriver import Keys

    page, titles = inside.page, []
    for position in range(inside.count):
        assert inside.position == position
        titles.append(page.text("title"))
        assert page.script("return document.querySelectorAll('.step:not([hidden])').length") == 1
        page.press(Keys.ARROW_RIGHT)
    assert titles[0] == "The pixels"
    assert titles[-1] == "One step of learning"
    assert sum(title.startswith("Forward: Conv2D") for title in titles) == sum("Backward: Conv2D" in t for t in titles)
    assert inside.position == inside.count - 1
    for title in reversed(titles):
        assert page.text("title") == title
        page.press(Keys.ARROW_LEFT)
    assert inside.position == 0
    page.press(Keys.END)
    assert inside.position == inside.count - 1
    page.press(Keys.HOME)
    assert inside.position == 0
    page.press(Keys.SPACE)
    assert page.text("play-word") == "Pause"
    page.wait(lambda: inside.position >= 2, "the steps to be played")
    page.press(Keys.SPACE)
    stopped = inside.position
    assert page.text("play-word") == "Play"
    page.press(Keys.ARROW_RIGHT)
    assert inside.position == stopped + 1


def test_a_number_may_be_named_by_keyboard(inside: Inside, network):
    from selenium.webdriver import Keys

    page = inside.page
    inside.go(4)
    for name, value in (("row", "3"), ("column", "7"), ("channel", "11")):
        page.find(name).clear()
        page.find(name).send_keys(value)
    page.press(Keys.ENTER)
    expected = Explanation(network, inside.image()).outputs[4][0][3, 7, 11]
    assert inside.value() == pytest.approx(expected, rel=2e-5)
    assert inside.position == 4
    page.find("row").send_keys(Keys.ARROW_UP)  # which is the field's own key
    assert inside.position == 4


def test_what_confuses_it(inside: Inside):
    page = inside.page
    page.draw(SEVEN)
    page.wait(lambda: "hurts" in page.text("occlusion-words") or "Nothing hangs" in page.text("occlusion-words"), "it")
    page.wait(lambda: page.text("nearest-words").startswith(("The nearest", "MNIST is not")), "them", patience=60)


def test_code_stands_beside_each_layer(inside: Inside):
    texts = inside.page.script("return [...document.querySelectorAll('.code')].map((each) => each.textContent)")
    assert len(texts) == inside.count - 4
    assert any("nncore/layers/windows.py" in text and "def im2col(" in text for text in texts)
    assert any("nncore/layers/pool.py" in text and "def backward(" in text for text in texts)


def test_a_server_that_is_gone_and_comes_back(inside: Inside):
    page = inside.page
    page.expected_errors = ("/api/explain", "ERR_CONNECTION_REFUSED")
    page.server.stop()
    try:
        page.script("document.querySelectorAll('#labels button')[5].click()")
        page.wait_for_problem("does not answer")
    finally:
        page.server.start()
    page.wait(lambda: not page.problem(), "the problem to go by itself")
    page.wait(lambda: chosen(page) == "5", "the answer")


def chosen(page: Page) -> str:
    return str(page.script("return document.querySelector('#labels [aria-pressed=true]').textContent"))


def test_a_label_given_while_the_digit_is_still_asked_about_belongs_to_it(inside: Inside):
    page = inside.page
    page.script(
        """document.querySelector('[aria-label="Try a 3"]').click();
        document.querySelectorAll('#labels button')[8].click();"""
    )
    page.wait(lambda: page.text("said").startswith("It reads a 3"), "the digit")
    assert chosen(page) == "8"
    page.sample("a 2")
    page.wait(lambda: page.text("said").startswith("It reads a 2"), "the next digit")
    assert chosen(page) == "2"  # what was said of the one before is forgotten


def test_jumps_to_each_part_of_the_way(inside: Inside):
    page = inside.page
    titles = []
    for jump in page.driver.find_elements("css selector", "#jumps button"):
        jump.click()
        assert jump.get_attribute("aria-current") == "step"
        titles.append(page.text("title").partition(":")[0])
    assert titles == [
        "The pixels",
        "Forward",
        "Forward",
        "The loss and its gradient",
        "Backward",
        "One step of learning",
    ]


def test_an_address_that_holds_no_digit(inside: Inside):
    inside.open("inside#nonsense")
    assert inside.page.text("said").startswith("It reads a 7")
