import doctest
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.studies.recognition import PENS, PREPARATIONS
from nncore import kernels
from nncore.training.options import parse

ROOT = Path(__file__).parents[1]
TO_BE_WRITTEN = "nncore/layers/square.py"  # by the reader, as README's example
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BOOK = sorted((ROOT / "docs" / "book").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_print_what_the_page_says(page: Path) -> None:
    if page.name == "speed.md" and not kernels.available():
        pytest.skip("compiles its examples")
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def test_the_chapter_on_speed_has_examples() -> None:
    assert len(doctest.DocTestParser().get_examples((ROOT / "docs" / "speed.md").read_text())) > 10


@pytest.mark.parametrize("page", [*PAGES, *BOOK], ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, *BOOK], ids=lambda page: page.name)
def test_files_and_commands_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"`((?:nncore|benchmarks|tests|webdemo|docs)/[\w/.]+)`", text):
        assert path == TO_BE_WRITTEN or (ROOT / path).exists(), path
    for module in re.findall(r"-m (benchmarks(?:\.\w+)*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("page", [*PAGES, *BOOK], ids=lambda page: page.name)
def test_addresses_out_of_the_docs_are_well_formed(page: Path) -> None:
    """Whether anybody answers there is for `make links` to try: there may be no way out of here."""
    for address in re.findall(r"\]\((https?:[^)]*)\)", page.read_text()):
        parts = urlsplit(address)
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]+", parts.netloc), address
        assert re.fullmatch(r"[!-~]*", address), address


def test_the_twelve_questions_say_where_their_answers_are() -> None:
    _, *answers = re.split(r"^## \d+\. .*\?.*$", (ROOT / "docs" / "questions.md").read_text(), flags=re.MULTILINE)
    assert len(answers) == 12
    for answer in answers:
        where = answer.partition("*Where:* ")[2]
        assert "](book/" in where
        places = re.findall(r"\[`(\S+\.py)`\]\(\S+\),\s((?:`[\w.]+`(?:,\s)?)+)", where)
        assert places
        for file, names in places:
            source = (ROOT / file).read_text()
            for name in re.findall(r"\w+", names):
                assert re.search(rf"(def|class) {name}\b", source), f"{name} in {file}"


def test_names_in_the_chapter_on_speed_are_in_those_files() -> None:
    text = (ROOT / "docs" / "speed.md").read_text()
    places = re.findall(r"((?:nncore|benchmarks)/[\w/]+\.py): (\w+)", text)
    for file, name in places:
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text()), f"{name} in {file}"
    assert len(places) > 10


def test_the_chapter_on_recognition_has_what_is_measured_and_trained() -> None:
    text = (ROOT / "docs" / "recognition.md").read_text()
    table = text.partition("<!-- begin: recognition.md -->")[2].partition("<!-- end: recognition.md -->")[0]
    for name in (*PREPARATIONS, *(pen.name for pen in PENS)):
        assert f"| {name} |" in table
    commands = re.findall(r"^    python train_scratch.py ([^#\n]+)", text, re.MULTILINE)
    assert [parse(command.split())[0].dataset for command in commands] == ["drawn", "drawn-1", "mnist"]
