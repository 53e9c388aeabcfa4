"""The notebook runs from its first cell to its last, and is kept without what it puts out."""

import json
from pathlib import Path

import nbclient
import nbformat

from nncore.data.idx import write_idx
from nncore.data.mnist import FILES
from nncore.data.strokes.synthetic import synthetic_digits

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "learn_a_cnn.ipynb"


def test_every_cell_runs(tmp_path, monkeypatch):
    """On few digits, drawn by program, in MNIST's format."""
    arrays = [*synthetic_digits(400, seed=3), *synthetic_digits(100, seed=4)]
    for name, array in zip(FILES, arrays, strict=True):
        write_idx(tmp_path / name.removesuffix(".gz"), array)
    monkeypatch.setenv("NNCORE_DATA", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert parameters.source == "LIMIT, EPOCHS = 60_000, 5"
    parameters.source = "LIMIT, EPOCHS = 390, 1"
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()

    put_out = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.text for output in put_out if output.output_type == "stream")
    assert "to learn from (358, 28, 28) uint8" in text
    assert "of 100 digits read rightly" in text
    assert sum("image/png" in output.get("data", ()) for output in put_out) == 7


def test_it_is_kept_without_what_it_put_out():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
