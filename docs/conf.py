"""How Sphinx makes the site of what is in docs/ and of the docstrings: `make docs`."""

import json
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import stringify_annotation

from nncore import types

os.environ["NUMBA_DISABLE_JIT"] = "1"  # functions are to be described, so they must stay functions

project = "nncore"
html_title = "nncore"
html_theme = "furo"
html_show_copyright = False
small = {"code-font-size": "0.74rem"}  # lines of code have up to 120 characters
html_theme_options = {"light_css_variables": small, "dark_css_variables": small}
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",  # else every reader's browser fetches MathJax from elsewhere
]
templates_path = ["templates"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "show-inheritance": True,
    "ignore-module-all": True,  # each thing is described where it is defined
}
highlight_language = "none"  # formulas and drawings, where no language is named
default_role = "literal"  # what `this` is in a docstring
nitpick_ignore_regex = [("py:.*", ".*")]  # types in signatures, many of them NumPy's, whose pages are not here


def setup(app: Sphinx) -> None:
    """Add what is below."""
    app.connect("autodoc-process-docstring", keep_blocks, priority=400)  # before napoleon's
    app.connect("autodoc-process-signature", shorten)
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.add_post_transform(LinksToSource)


def keep_blocks(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """What a docstring sets off by a blank line and an indent is a formula, a drawing or code, and keeps its lines.

    Elsewhere, a single * is a product and | a length, where reStructuredText would see marks of its own.
    """
    result: list[str] = []
    block = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not block and result and not result[-1]:
            result += ["::", ""]
            block = True
        block = block and (indented or not line)
        result.append(line if block else re.sub(r"(?<!\*)\*(?!\*)|\|", r"\\\g<0>", line))
    lines[:] = result


def shorten(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Arrays have the names that the code has for them, from nncore/types.py."""
    for alias in ("Array", "Bytes", "Mask", "Integers"):
        long = stringify_annotation(getattr(types, alias), "smart")
        signature, returns = (text and text.replace(long, alias) for text in (signature, returns))
    return signature, returns


NOTE = """```{{note}}
This is {{download}}`{}`, without what it prints and draws: `make notebook` opens it to be run.
```"""


class NotebookParser(MystParser):  # type: ignore[misc]
    """A notebook as a page: its text, and its code as code."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(inputstring)["cells"]]
        text = [source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in cells]
        text.insert(1, NOTE.format(Path(document["source"]).name))
        super().parse("\n\n".join(text), document)


class LinksToSource(SphinxPostTransform):
    """A link to a module's file, as GitHub follows it, leads to the page with its source; to others, it downloads."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for link in list(self.document.findall(addnodes.download_reference)):
            target = link["reftarget"]
            page = "_modules/" + target.rpartition("../")[2].removesuffix(".py").removesuffix("/__init__")
            if page.startswith("_modules/nncore/") and target.endswith(".py"):
                uri = self.app.builder.get_relative_uri(self.env.docname, page)
                link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))
