"""The book: that what it includes is there, and that a chapter stays short. Its samples are run where they stand."""

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "docs" / "book"
CHAPTERS = (
    "pixels",
    "dense",
    "loss",
    "convolution",
    "convolution_backward",
    "pooling_dropout",
    "batchnorm",
    "optimizers",
    "gradient_checks",
)
PAGES = sorted(BOOK.glob("*.md"))
TWO_PAGES = 950  # words, those of formulas and samples among them
MAX_INCLUDED = 85  # lines of nncore in a chapter

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


INCLUDE = re.compile(r"^```\{literalinclude\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def includes(text: str) -> list[tuple[str, dict[str, str]]]:
    """Each piece of source that a page includes: its file, and the directive's options."""
    found = INCLUDE.findall(text)
    return [(file, dict(re.findall(r"^:([\w-]+): ?(.*)$", options, re.MULTILINE))) for file, options in found]


def source_of(path: Path, name: str) -> str | None:
    """The source of a function, a class, or a method, "Class.method"."""
    source = path.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(source)
    for part in name.split("."):
        children = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        if not children:
            return None
        node = children[0]
    return ast.get_source_segment(source, node)


def test_the_contents_list_every_chapter_in_its_order():
    listed = re.findall(r"^book/(\w+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    assert tuple(listed[: len(CHAPTERS)]) == CHAPTERS
    assert sorted(listed) == [page.stem for page in PAGES]


@each_chapter
def test_a_chapter_includes_source_and_says_where_it_is_from(chapter):
    text = (BOOK / f"{chapter}.md").read_text()
    found = includes(text)
    assert len(found) == text.count("{literalinclude}") > 0
    lines = 0
    for file, options in found:
        path = BOOK / file
        assert f"]({file})" in text, "readers on GitHub see the link only"
        if "pyobject" in options:
            name = options["pyobject"]
            source = source_of(path, name)
            assert source, f"{file} has no {name}"
            assert f"`{name}`" in text, "readers on GitHub see the name only"
            lines += source.count("\n") + 1
        else:
            source = path.read_text()
            assert [source.count(options[end]) for end in ("start-at", "end-at")] == [1, 1]
    assert lines <= MAX_INCLUDED


@each_chapter
def test_a_chapter_is_two_pages_at_most(chapter):
    assert len(INCLUDE.sub("", (BOOK / f"{chapter}.md").read_text()).split()) <= TWO_PAGES


@pytest.mark.parametrize(("chapter", "following"), list(zip(CHAPTERS, [*CHAPTERS[1:], "../speed"], strict=True)))
def test_a_chapter_leads_to_the_next(chapter, following):
    text = (BOOK / f"{chapter}.md").read_text()
    assert f"]({following}.md)" in text.partition("\n## Sources")[0][-400:]


@each_chapter
def test_a_chapter_names_its_sources_and_has_samples(chapter):
    text = (BOOK / f"{chapter}.md").read_text()
    assert len(re.findall(r"^- ", text.partition("\n## Sources\n")[2], re.MULTILINE)) >= 2
    assert text.count("\n>>> ") >= 4


@by_name
def test_formulas_are_read_alike_by_github_and_sphinx(page):
    # GitHub takes a backslash away that stands before punctuation, before it looks at the formula.
    formulas = re.findall(r"\$\$.+?\$\$|\$[^$\n]+\$", page.read_text(), re.DOTALL)
    for formula in formulas:
        assert not re.search(r"\\[^\w\s]", formula), formula


def test_the_script_draws_the_pictures_of_the_book(tmp_path):
    script = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    script["main"](tmp_path)
    shown = {name for page in PAGES for name in re.findall(r"!\[.+?\]\(\.\./images/(.+?)\)", page.read_text())}
    assert shown == set(script["PICTURES"]) == {path.name for path in tmp_path.iterdir()}
    for name in shown:
        drawn, kept = (
            np.asarray(Image.open(folder / name).convert("L"), float) for folder in (tmp_path, script["IMAGES"])
        )
        assert drawn.shape == kept.shape
        assert np.abs(drawn - kept).mean() < 4, f"{name}: draw it anew, by python docs/pictures.py"
