import ast
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULE = runpy.run_path(str(ROOT / "tests" / "mutations.py"))  # not imported: it is a command, run from any folder
Mutation, MUTATIONS, QUICK = MODULE["Mutation"], MODULE["MUTATIONS"], MODULE["QUICK"]

LAYERS = [f"layers/{path.name}" for path in sorted((ROOT / "nncore" / "layers").glob("[!_]*.py"))]
FUSED = ["network/fused_conv.py", "network/fused_layers.py", "network/sequential.py"]
KERNELS = [f"kernels/{name}.py" for name in MODULE["SOURCE"]]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.file}: {mutation.what}")
def test_the_text_that_a_mutation_replaces_is_in_the_source_once(mutation):
    MODULE["find"](mutation)
    assert mutation.old != mutation.new
    assert (ROOT / mutation.tests).exists()


@pytest.mark.parametrize("file", [*LAYERS, *FUSED, *KERNELS, "losses.py", "optimizers.py"])
def test_every_backward_pass_and_update_has_a_mutation(file):
    source = (ROOT / "nncore" / file).read_text(encoding="utf-8")
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and (function.name.endswith("backward") or function.name == "update"):
            if isinstance(function.body[-1], ast.Raise) or (ast.get_docstring(function) and len(function.body) == 1):
                continue  # declared only
            text = ast.get_source_segment(source, function)
            broken = any(mutation.old in text for mutation in MUTATIONS if mutation.file == file)
            assert broken, f"{file}, line {function.lineno}: add a mistake in {function.name} to tests/mutations.py"


@pytest.mark.slow
def test_one_mutation_of_every_layer_and_loss_is_caught(capsys):
    assert MODULE["run"](QUICK, quick=True) == 0
    assert f"{len(QUICK)} mutations, {len(QUICK)} caught: {len(QUICK)} by the gradient check" in capsys.readouterr().out


@pytest.mark.slow
def test_a_mutation_that_breaks_nothing_is_reported(capsys):
    harmless = Mutation("layers/dense.py", ("Dense",), "a sentence", "every output sees every input", "all sees all")
    assert MODULE["run"]([harmless]) == 1
    assert "UNNOTICED" in capsys.readouterr().out


def test_a_mutation_whose_text_is_gone_or_ambiguous_is_an_error():
    for text, count in (("a text that nobody wrote", 0), ("self.", r"\d+")):
        with pytest.raises(MODULE["CannotTryError"], match=f"is {count} times in layers/dense.py: bring the table"):
            MODULE["find"](Mutation("layers/dense.py", ("Dense",), "", text, ""))
