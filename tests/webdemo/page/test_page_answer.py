"""The answer: its words, several digits, what the network saw, and what is read out."""

from tests.webdemo.browser import SEVEN, THREE, Page, reading


def test_when_the_network_is_not_sure(page: Page):
    page.answer_with({"digit": 4, "verdict": "unsure", "probabilities": {4: 0.55, 9: 0.41, 7: 0.04}})
    page.draw(SEVEN)
    page.wait_for("verdict", "Might be 4 or 9.")
    assert page.text("digit") == "4"
    assert page.bars()[9].split() == ["9", "41.0", "%"]
    page.screenshot("unsure")


def test_when_it_is_no_digit(page: Page):
    page.answer_with({"digit": 4, "verdict": "not a digit", "probabilities": {4: 0.3, 9: 0.7}})
    page.draw(SEVEN)
    page.wait_for("verdict", "This does not look like a digit.")
    assert page.text("digit") == "?"
    page.screenshot("no-digit")


def test_several_digits_in_order_and_each_can_be_looked_at(page: Page):
    page.sample("the number 2026")
    page.wait_for("digit", "2026")
    assert page.text("verdict") == "This says 2026."
    choices = page.driver.find_elements("css selector", "#found button")
    assert [choice.get_attribute("aria-pressed") for choice in choices] == ["true", "false", "false", "false"]
    assert float(page.bars()[2].split()[1]) > 50
    from selenium.webdriver import Keys

    page.script("arguments[0].focus()", choices[3])
    seen = page.find("seen").get_attribute("src")
    page.press(Keys.ENTER)
    assert choices[3].get_attribute("aria-pressed") == "true"
    assert float(page.bars()[6].split()[1]) > 50
    assert page.text("chosen") == "Digit 4 of 4: This is a 6."
    assert page.find("seen").get_attribute("src") != seen
    page.screenshot("several")


def test_several_digits_of_which_some_are_in_doubt(page: Page):
    unsure = {"digit": 0, "verdict": "unsure", "probabilities": {0: 0.5, 6: 0.3, 9: 0.2}}
    page.answer_with({"digit": 8}, unsure, {"digit": 1, "verdict": "not a digit"})
    page.draw(SEVEN)
    page.wait_for("digit", "80?")
    assert page.text("verdict") == (
        "This might say “80?”. The second might be 0, 6 or 9. The third does not look like a digit."
    )
    page.screenshot("several-in-doubt")


def test_the_words(page: Page):
    seven, eight, odd = reading(7), reading(8), reading(1, "not a digit")
    doubt = reading(4, "unsure", {4: 0.5, 9: 0.3, 7: 0.15, 1: 0.05})
    sentences = {
        "Nothing drawn yet.": [],
        "This is a 7.": [seven],
        "This is an 8.": [eight],
        "This does not look like a digit.": [odd],
        "Might be 4, 9 or 7.": [doubt],
        "Might be 4.": [reading(4, "unsure", {4: 0.7, 9: 0.09, 8: 0.08})],
        "This says 78.": [seven, eight],
        "These do not look like digits.": [odd, odd],
        "This might say “?7”. The first does not look like a digit.": [odd, seven],
        "This might say “77777777774”. Number 11 might be 4, 9 or 7.": [seven] * 10 + [doubt],
        "This might say “7????”. 4 of them are in doubt.": [seven, odd, odd, odd, odd],
    }
    said = page.driver.execute_async_script(
        """const [all, done] = arguments;
        import("/static/js/words.js").then(({ verdict }) => done(all.map(verdict)));""",
        list(sentences.values()),
    )
    assert said == list(sentences)


def test_what_the_network_saw(page: Page):
    page.answer_with({"digit": 7})
    page.draw(SEVEN)
    page.wait(lambda: page.find("seen").is_displayed(), "what the network saw")
    assert page.find("seen").size["width"] >= 84
    # The made-up answer is of 10 x 20 pixels at row 4 and column 9, which fill the middle of the box of 20 x 20.
    columns = page.pixels("step-scaled", "[...Array(20).keys()].map((i) => data[4 * (((i + 0.5) * width) / 20)])")
    assert columns == [0] * 5 + list(range(56, 66)) + [0] * 5


def test_the_words_are_read_out_once_and_only_when_they_last(page: Page):
    page.script(
        """window.said = [];
        const words = document.getElementById("announcement");
        new MutationObserver(() => said.push(words.textContent)).observe(words, { childList: true });"""
    )
    page.draw(THREE)
    page.wait_for("verdict", "This is a 3.")
    page.wait(lambda: page.script("return window.said.length"), "the words to be said")
    assert page.script("return window.said") == ["This is a 3."]
    assert page.find("announcement").get_attribute("role") == "status"
