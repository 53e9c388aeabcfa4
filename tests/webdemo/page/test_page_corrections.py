""" "That was wrong": what is kept in the browser, and the files that can be downloaded."""

import time
from pathlib import Path

import numpy as np
import pytest

from nncore.data.idx import read_idx
from tests.webdemo.browser import BLOCK, SEVEN, Page, data_url


def correct(page: Page, digit: int) -> None:
    page.click("wrong")
    page.driver.find_element("css selector", f'#right [data-digit="{digit}"]').click()


def keep(page: Page, images: list[np.ndarray], labels: list[int]) -> None:
    """Draw something, have it seen as each image in turn, and correct that."""
    for image, label in zip(images, labels, strict=True):
        count = int(page.text("corrections"))
        page.answer_with({"digit": 1, "seen": data_url(image)})
        page.click("predict")
        page.wait(lambda image=image: page.find("seen").get_attribute("src") == data_url(image), "what was seen")
        correct(page, label)
        page.wait_for("corrections", str(count + 1))


def downloaded(page: Page, folder: Path, button: str, name: str) -> Path:
    page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.click(button)
    page.wait((folder / name).exists, f"{name} to be downloaded")
    time.sleep(0.1)  # until all of it is written
    return folder / name


@pytest.fixture
def images(rng) -> list[np.ndarray]:
    return list(rng.integers(0, 256, (5, 28, 28), np.uint8))


LABELS = [0, 9, 4, 4, 7]


def test_nothing_to_correct_before_anything_is_read(page: Page):
    assert not page.find("wrong").is_enabled()
    assert not any(
        page.find(name).is_enabled() for name in ("download-csv", "download-idx", "download-labels", "forget")
    )


def test_corrections_are_kept_and_download_as_idx(page: Page, images, tmp_path):
    keep(page, images, LABELS)
    paths = [
        downloaded(page, tmp_path, "download-idx", "train-images-idx3-ubyte"),
        downloaded(page, tmp_path, "download-labels", "train-labels-idx1-ubyte"),
    ]
    np.testing.assert_array_equal(read_idx(paths[0]), images)
    np.testing.assert_array_equal(read_idx(paths[1]), LABELS)
    assert [path.stat().st_size for path in paths] == [16 + 5 * 784, 8 + 5]


def test_corrections_download_as_csv(page: Page, images, tmp_path):
    keep(page, images, LABELS)
    path = downloaded(page, tmp_path, "download-csv", "corrections.csv")
    table = np.loadtxt(path, np.uint8, delimiter=",")
    np.testing.assert_array_equal(table[:, 0], LABELS)
    np.testing.assert_array_equal(table[:, 1:].reshape(-1, 28, 28), images)


def test_they_outlast_the_visit_until_they_are_forgotten(page: Page, images):
    keep(page, images[:2], LABELS[:2])
    page.open()
    assert page.text("corrections") == "2"
    page.click("forget")
    page.screenshot("forget")
    page.driver.find_element("css selector", "#forget-dialog [value='']").click()
    assert page.text("corrections") == "2"
    page.click("forget")
    page.driver.find_element("css selector", "#forget-dialog [value=forget]").click()
    page.wait_for("corrections", "0")
    page.open()
    assert page.text("corrections") == "0"


def test_a_picture_has_one_label(page: Page, images):
    keep(page, images[:1], [3])
    correct(page, 8)
    page.wait_for("kept", "Kept as an 8. Thank you.")
    assert page.text("corrections") == "1"


def test_a_real_answer_can_be_corrected(page: Page, tmp_path):
    page.draw(SEVEN)
    page.wait_for("digit", "7")
    page.click("wrong")
    page.screenshot("wrong")
    page.driver.find_element("css selector", '#right [data-digit="1"]').click()
    page.wait_for("corrections", "1")
    path = downloaded(page, tmp_path, "download-csv", "corrections.csv")
    label, *pixels = np.loadtxt(path, np.uint8, delimiter=",")
    assert label == 1
    assert max(pixels) == 255


def test_the_keyboard_picks_a_digit_and_escape_leaves_the_drawing_alone(page: Page):
    from selenium.webdriver import Keys

    page.answer_with({"digit": 1})
    page.draw(SEVEN)
    page.wait_for("digit", "1")
    page.script("document.getElementById('wrong').focus()")
    page.press(Keys.ENTER)
    page.press(Keys.ESCAPE)
    assert not page.find("right").is_displayed()
    assert page.ink() > 0
    page.press(Keys.ENTER)
    page.press(Keys.TAB)
    page.press(Keys.ENTER)  # the second button, which is 1
    page.wait_for("kept", "Kept as a 1. Thank you.")
    assert page.script("return document.activeElement.id") == "wrong"


def test_two_tabs_keep_their_corrections_together(page: Page, images):
    first = page.driver.current_window_handle
    keep(page, images[:1], LABELS[:1])
    page.driver.switch_to.new_window("tab")
    page.look()
    page.open()
    assert page.text("corrections") == "1"
    keep(page, images[1:2], LABELS[1:2])
    page.driver.switch_to.window(first)
    page.wait_for("corrections", "2")
    keep(page, images[2:3], LABELS[2:3])
    assert page.text("corrections") == "3"


def test_no_room_for_more(page: Page, images):
    keep(page, images[:1], LABELS[:1])
    page.script(
        "localStorage.setItem('other', 'x'.repeat(5 * 2 ** 20 - localStorage['nncore-corrections'].length - 100))"
    )
    page.answer_with({"digit": 1, "seen": data_url(BLOCK)})
    page.click("predict")
    page.wait(lambda: page.find("seen").get_attribute("src") == data_url(BLOCK), "what was seen")
    correct(page, 5)
    page.wait_for_problem("no room for more corrections")
    assert page.text("corrections") == "1"


def test_a_browser_that_keeps_nothing(page: Page, images, tmp_path):
    refuse = "throw new DOMException('not here', 'SecurityError')"
    script = f"Object.defineProperty(window, 'localStorage', {{ get() {{ {refuse} }} }})"
    identifier = page.command("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
    try:
        page.open()
        keep(page, images, LABELS)
        page.wait_for_problem("download your corrections before you leave")
        np.testing.assert_array_equal(
            read_idx(downloaded(page, tmp_path, "download-idx", "train-images-idx3-ubyte")), images
        )
        page.click("theme")  # works all the same
    finally:
        page.command("Page.removeScriptToEvaluateOnNewDocument", identifier=identifier)


def test_spoilt_memory_is_taken_for_none(page: Page):
    page.script("localStorage.setItem('nncore-corrections', '{')")
    page.open()
    assert page.text("corrections") == "0"
