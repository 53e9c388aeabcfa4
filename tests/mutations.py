"""Would the checks notice a mistake? Each mutation breaks one line of the package, and something must catch it.

    python -m tests.mutations            all of them, in some ten minutes
    python -m tests.mutations --quick    one for each layer and loss, by the gradient check alone, in half a minute

A mutation is a piece of source text and what to put in its place. It is made in a copy of the package, on which the
gradient checks of what is concerned and the tests of the broken file are run. The exit status is 1 if a mutation passes
unnoticed, and 2 if one cannot be tried: its text is no longer in the source, for instance.

Layers, losses and optimizers are broken with Numba switched off: the gradient check then checks them as they are
written. The fused steps are broken with Numba, and checked as they train. Kernels have tests alone: loops run as the
Python that they are, and what consists of SIMD instructions is compiled, which takes some seconds each.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

TABLE = {
    ("layers/conv.py", "Conv2D"): [
        (
            "stride swapped in backward",
            "return col2im(dcolumns, x.shape, self.kernel_size, self.stride, padding)",
            "return col2im(dcolumns, x.shape, self.kernel_size, self.stride[::-1], padding)",
        ),
        ("kernel's gradient scaled", "(columns.T @ dy_rows)", "(columns.T @ dy_rows / len(x))"),
        ("bias gradient missing", 'self.gradients["bias"] = dy_rows.sum(axis=0)', "pass"),
        ("sum over the batch forgotten", "dy_rows.sum(axis=0)", "dy[0].sum(axis=(0, 1))"),
        ("sign of dx", "dcolumns = dy_rows @", "dcolumns = -dy_rows @"),
        ("odd pixel at the other side", "total // 2, total - total // 2", "total - total // 2, total // 2"),
    ],
    ("layers/windows.py", "Conv2D"): [
        ("col2im: contributions overwritten", "stride)] += windows[", "stride)] = windows["),
        ("col2im: padding swapped", "padded[:, top : top + height,", "padded[:, bottom : bottom + height,"),
        ("im2col: window transposed", "columns[:, :, :, ky, kx] = padded", "columns[:, :, :, ky, -kx - 1] = padded"),
    ],
    ("layers/pool.py", "MaxPool2D"): [
        ("winner ignored", "dy * (winners == place)", "dy"),
        ("overlap overwritten", "+= dy * (winners == place)", "= dy * (winners == place)"),
        ("the last of equals wins", "larger = (pixel > y)", "larger = (pixel >= y)"),
    ],
    ("layers/pool.py", "AvgPool2D"): [
        (
            "not divided",
            "share = np.zeros(x_shape, dy.dtype), dy / dy.dtype.type(math.prod(self.pool_size))",
            "share = np.zeros(x_shape, dy.dtype), dy",
        ),
        ("overlap overwritten", "+= share", "= share"),
    ],
    ("layers/pool.py", "GlobalAvgPool2D"): [
        ("width forgotten", "dy / (height * width)", "dy / height"),
        ("not divided at all", "(dy / (height * width))", "dy"),
    ],
    ("layers/flatten.py", "Flatten"): [
        ("order of the axes", "dy.reshape(x_shape)", 'dy.reshape(x_shape, order="F")'),
    ],
    ("layers/dense.py", "Dense"): [
        ("sign", "dx: Array = dy @", "dx: Array = -dy @"),
        ("kernel's gradient transposed", "= x.T @ dy", "= dy.T @ x"),
        ("kernel's gradient scaled", "= x.T @ dy", "= x.T @ dy / len(x)"),
        ("bias gradient missing", 'self.gradients["bias"] = dy.sum(axis=0)', "pass"),
        ("bias gradient a mean", "dy.sum(axis=0)", "dy.mean(axis=0)"),
    ],
    ("layers/dropout.py", "Dropout"): [
        ("mask forgotten", "dx: Array = dy * kept * scale", "dx: Array = dy * scale"),
        ("scale forgotten", "dx: Array = dy * kept * scale", "dx: Array = dy * kept"),
        ("every pass the same mask", "+= np.uint64(1)", "+= np.uint64(0)"),
    ],
    ("layers/batchnorm.py", "BatchNorm"): [
        ("mean term dropped", "(dz - dz.mean(axis=axes) - z", "(dz - z"),
        ("variance term dropped", " - z * (dz * z).mean(axis=axes)", ""),
        ("sign of the variance term", " - z * (dz * z)", " + z * (dz * z)"),
        ("deviation forgotten", "inverse_deviation * (dz", "(dz"),
        ("gamma forgotten", 'dz = dy * self.parameters["gamma"]', "dz = dy"),
        ("gamma's gradient without z", "(dy * z).sum(axis=axes)", "dy.sum(axis=axes)"),
        ("beta's gradient a mean", '"beta": dy.sum(axis=axes)', '"beta": dy.mean(axis=axes)'),
        ("running variance biased", "variance * (count / max(1, count - 1))", "variance"),
    ],
    ("layers/activations.py", "ReLU"): [
        ("mask forgotten", "dy * (y > 0)", "dy * (y >= 0)"),
    ],
    ("layers/activations.py", "LeakyReLU"): [
        ("slope forgotten", "dx: Array = dy * slope", "dx: Array = dy"),
    ],
    ("layers/activations.py", "Sigmoid"): [
        ("factor forgotten", "dx: Array = dy * y * (1 - y)", "dx: Array = dy * (1 - y)"),
    ],
    ("layers/activations.py", "Tanh"): [
        ("square forgotten", "dy * (1 - y * y)", "dy * (1 - y)"),
    ],
    ("layers/activations.py", "Softmax"): [
        ("normalisation ignored", "(dy - (dy * y).sum(axis=-1, keepdims=True))", "dy"),
        ("mean in place of sum", "(dy * y).sum", "(dy * y).mean"),
    ],
    ("losses.py", "SoftmaxCrossEntropy"): [
        ("1/N forgotten", "(probabilities - targets) / len(targets)", "probabilities - targets"),
        ("sign", "(probabilities - targets)", "(targets - probabilities)"),
        ("label smoothing ignored in backward", "(log_probabilities), targets", "(log_probabilities), targets.round()"),
    ],
    ("losses.py", "MeanSquaredError"): [
        ("the 2 forgotten", "2 / self._difference.size", "1 / self._difference.size"),
        ("mean over the batch only", "2 / self._difference.size", "2 / len(self._difference)"),
    ],
    ("kernels/conv/im2col.py",): [
        ("sign of dx", "np.matmul(dy_rows, matrix.T", "np.matmul(-dy_rows, matrix.T"),
        ("only the last chunk counts for dw", "dmatrix += columns.T", "dmatrix = columns.T"),
        ("dx from the columns of x", "np.matmul(dy_rows, matrix.T, out=columns)", "pass"),
    ],
    ("kernels/conv/columns.py",): [
        ("col2im: contributions overwritten", "c] += window[at + c]", "c] = window[at + c]"),
        ("col2im: padding forgotten", "divmod(y + top - ky,", "divmod(y - ky,"),
        ("col2im: rows between the steps", "if off_step != 0 or i < 0", "if i < 0"),
        ("col2im: one step too few", "i >= oh:", "i >= oh - 1:"),
        ("col2im: window transposed", "(ky * kw + kx) * channels", "(kx * kh + ky) * channels"),
        ("col2im: first column lost", "if 0 <= z < width:", "if 1 <= z < width:"),
        ("im2col: last row lost", "if 0 <= y < height and", "if 0 <= y < height - 1 and"),
    ],
    ("kernels/conv/cook_toom.py",): [
        ("sign of a shared sum", "even + odd, even - odd", "even + odd, odd - even"),
        ("infinity forgotten", "[Fraction(0)] * (m - 1) + [Fraction(1)]", "[Fraction(0)] * m"),
    ],
    ("kernels/conv/direct.py",): [
        ("backward: channels not swapped", "kernel[down, across].swapaxes(2, 3)", "kernel[down, across]"),
        ("backward: stride of dy's pixels", "walk = oh, stride[0] * row,", "walk = oh, row,"),
        (
            "backward: kernel not turned",
            "tap + (taps - 1) * stride, tap - 1 if tap else None, -stride",
            "tap, None, stride",
        ),
        ("few channels: kernel not transposed", "kernel.reshape(-1, filters).T", "kernel.reshape(filters, -1)"),
        ("only the last worker counts for dw", "sums.sum(axis=0)[:", "sums[-1][:"),
        ("padding at the other side", "_copy(x, top, left, padded)", "_copy(x, bottom, left, padded)"),
    ],
    ("kernels/conv/winograd.py",): [
        ("backward: channels not swapped", "kernel.swapaxes(2, 3)", "kernel"),
        ("the input's transform for dy", 'Transform("A", *tile', 'Transform("B^T", *tile'),
        ("tiles of dx overwrite each other", '"B", *tile, step=tile.m, accumulate=True', '"B", *tile, step=tile.m'),
        ("padding forgotten in backward", "filters, top, left, *grid, workers, 1", "filters, 0, 0, *grid, workers, 1"),
    ],
    ("kernels/conv/tiles.py",): [
        ("images not counted", "[b.add(image, wraps), row, column]", "[image, row, column]"),
        ("rows not counted", "_next(b, row, wraps, grid[0])", "_next(b, row, INDEX(0), grid[0])"),
        ("planes by the images' channels", "b.sub(channel, start)", "channel"),
        ("what is there overwritten", "masked, transform.accumulate)", "masked, False)"),
    ],
    ("kernels/conv/passes.py",): [
        ("a chunk's sums lost", "multiply_add(left, columns", "multiply(left, columns"),
        ("dx not cleared", "cleared[mine[0] : mine[1]] = 0", "pass"),
    ],
    ("kernels/conv/prologues.py",): [
        ("ReLU passes all gradients", 'dy.where(y.compare(">", y.full(0)), dy.full(0))', "dy"),
        ("pooling: every pixel wins", "gradient.where(won, dy.full(0))", "gradient"),
    ],
    ("kernels/conv/epilogues.py",): [
        ("the last of equals wins", 'value.compare(">", largest)', 'value.compare(">=", largest)'),
        ("dropout's scale forgotten", "largest = largest * scale", "pass"),
    ],
    ("kernels/conv/first_conv.py",): [
        ("ReLU passes all gradients", "relu_backward(gradient, value)", "gradient"),
        ("the first tap for all", "INDEX(k * x.bytes)", "INDEX(0)"),
        ("dkernel overwritten", "self.dkernel.load((tap,), lanes) + sum(", "sum("),
        ("dbias overwritten", "start=self.dbias.load((), lanes)", "start=dy[0].full(0)"),
        ("zeros outside of y forgotten", "strict=True)] if masked else vectors", "strict=True)] if False else vectors"),
        ("only the last worker's gradients count", "sum(each.dkernel for each in own)", "own[-1].dkernel"),
        (
            "scale forgotten",
            "PoolBackward(dy, winners, conv.dtype.type(scale))",
            "PoolBackward(dy, winners, conv.dtype.type(1))",
        ),
    ],
    ("kernels/dense.py",): [
        ("only the last rows of the right matrix count", "multiply_add(a[first *", "multiply(a[first *"),
        ("few rows: only the last part counts", "np.sum(sums, axis=0, out=y)", "sums[-1]"),
        ("a transposed matrix taken as it lies", "walk = 1, 0, stop - first, across", "walk = 1, 0, stop - first, 1"),
    ],
    ("kernels/batchnorm.py",): [
        ("ReLU passes all gradients", "weighted[c] += gradient * distance", "weighted[c] += above[c] * distance"),
        ("mean's part of dx", "gradient - shift[c] - ", "gradient - "),
        ("variance's part of dx", " - distance * slope[c])", ")"),
        ("deviation once only", "dgamma / deviation / count", "dgamma / count"),
        ("images' means taken for equal", " + means.var(axis=0)", ""),
        ("ReLU forgotten", "number(0 if relu else -np.inf)", "number(-np.inf)"),
        ("dgamma without the deviation", "dgamma = weighted / deviation", "dgamma = weighted"),
    ],
    ("kernels/pooling.py",): [
        ("max: winner ignored", "gradient[c] * factor if winner[c] == ky * pw + kx else zero", "gradient[c] * factor"),
        ("max: winner transposed", "winner[c] == ky * pw + kx", "winner[c] == kx * ph + ky"),
        ("max: overlap overwritten", "pixel[c] += gradient", "pixel[c] = gradient"),
        ("max: the last of equals wins", "larger = pixel[c] > best[c]", "larger = pixel[c] >= best[c]"),
        ("max: dropout's scale forgotten", "gradient[c] * factor if", "gradient[c] if"),
        ("max: what is left out wins", "winner[c] = winner[c] if keep[c] else NOBODY", "pass"),
        ("avg: window's size", "/ (ph * pw)", "/ (ph * ph)"),
        ("avg: overlap overwritten", "c] += dy[image", "c] = dy[image"),
        ("avg: not divided", "y[image, i, j, c] /= ph * pw", "pass"),
    ],
    ("kernels/activation.py",): [
        ("dbias: the first image alone", "return dx, sums.sum(axis=0)", "return dx, sums[0]"),
        ("dy where y is zero, too", "above[c] if result[c] > 0 else 0", "above[c] if result[c] >= 0 else 0"),
    ],
    ("network/fused_conv.py", "fused"): [
        (
            "by winograd: dy doubled",
            "backward_relu(x, kernel, result, dy, padding)",
            "backward_relu(x, kernel, result, 2 * dy, padding)",
        ),
        ("in tiles: dropout's scale forgotten", "backward_pool(x, result, dy, scale)", "backward_pool(x, result, dy)"),
        ("pooled: dropout's scale forgotten", "result, dy, padding, scale)", "result, dy, padding)"),
        (
            "first convolution: padding forgotten",
            "direct.kernel_gradient(x, kernel, dy, conv.stride, padding)",
            "direct.kernel_gradient(x, kernel, dy, conv.stride, ((0, 0), (0, 0)))",
        ),
        ("the first convolution's gradients lost", "keep_gradients(self.first, *dx)", "pass"),
    ],
    ("network/fused_layers.py", "fused", "MaxPool2D", "Dense", "AvgPool2D", "Dropout"): [
        ("pooling with dropout: scale forgotten", "self.pool.stride, scale)", "self.pool.stride)"),
        ("normalisation: gradients swapped", "update(gamma=dgamma, beta=dbeta)", "update(gamma=dbeta, beta=dgamma)"),
        ("dense: dW not transposed", "dense.matmul(x.T, dy)", "dense.matmul(dy.T, x).T * 2"),
        (
            "average pooling: windows taken as tiles",
            "(dy, x_shape, self.layers[0].pool_size, self.layers[0].stride)",
            "(dy, x_shape, self.layers[0].pool_size, self.layers[0].pool_size)",
        ),
        ("dropout: scale forgotten", "dx: Array = dy * kept * factor", "dx: Array = dy * kept"),
    ],
    ("network/fusion.py",): [
        ("folding: the convolution's bias forgotten", 'layer.parameters.get("bias", 0) * scale + shift', "shift"),
    ],
    ("network/sequential.py",): [
        ("steps in the wrong order", "for step in reversed(self.steps):", "for step in self.steps:"),
    ],
    ("optimizers.py",): [
        ("SGD: sign", "parameter -= learning_rate * direction", "parameter += learning_rate * direction"),
        ("SGD: velocity forgotten", "velocity *= self.momentum", "velocity *= 0"),
        ("SGD: momentum damped", "velocity += gradient", "velocity += (1 - self.momentum) * gradient"),
        ("SGD: Nesterov ignored", "self.momentum * velocity + gradient if self.nesterov else velocity", "velocity"),
        ("biases decay", "return self.weight_decay if parameter.ndim > 1 else 0.0", "return self.weight_decay"),
        ("Adam: stuck at its first step", "self.epsilon, self.steps)", "self.epsilon, 1)"),
        (
            "Adam: betas swapped",
            "(self.beta_1, self.beta_2), learning_rate",
            "(self.beta_2, self.beta_1), learning_rate",
        ),
        ("Adam: mean not corrected", "(m / (1 - beta_1**t))", "m"),
        ("Adam: gradient not squared", "(gradient * gradient - v)", "(abs(gradient) - v)"),
        ("AdamW: decay without rate", "1 - learning_rate * self.decoupled_decay", "1 - self.decoupled_decay"),
        ("AdamW: decay in the gradient too", "self.weight_decay = weight_decay, 0.0", "_ = weight_decay, 0.0"),
        ("clipping: each on its own", "gradient *= max_norm / norm", "gradient *= max_norm / np.linalg.norm(gradient)"),
    ],
    ("kernels/adam.py",): [
        ("Adam: mean not corrected", "rate * correction / (1 - beta_1**t)", "rate * correction"),
        ("Adam: epsilon too large", "epsilon * correction", "epsilon"),
        ("Adam: root forgotten", "correction = math.sqrt(1 - beta_2**t)", "correction = 1 - beta_2**t"),
        ("Adam: a chunk's last number left out", "stop = start + CHUNK", "stop = start + CHUNK - 1"),
        ("Adam: sign", "w[i] -= ", "w[i] += "),
    ],
    ("training/averaging.py",): [
        ("weights swapped", "average += (1 - decay)", "average += decay"),
    ],
    ("schedules.py",): [
        ("one-cycle: peak a step late", "max(1.0, warmup * total_steps - 1)", "max(1.0, warmup * total_steps)"),
    ],
}
"""(file, what the gradient check has on it): [(what is broken, old text, new text)]"""

SOURCE = ("activation", "adam", "batchnorm", "pooling", "conv/columns")  # kernels that are loops, run as Python
COMPILED = ("conv/direct", "conv/first_conv", "conv/im2col", "conv/passes", "conv/prologues", "conv/epilogues", "dense")
COMPILED += ("conv/winograd", "conv/tiles")


class Mutation(NamedTuple):
    """One change to the package."""

    file: str
    subjects: tuple[str, ...]
    what: str
    old: str
    new: str

    @property
    def tests(self) -> str:
        """The tests of its file."""
        path = Path("tests", self.file)
        shared = {"passes": "winograd", "prologues": "winograd", "epilogues": "winograd", "im2col": "choose"}
        shared["fused_conv"] = "fused_layers"
        return str(path.with_name(f"test_{shared.get(path.stem, path.stem)}.py"))

    @property
    def way(self) -> str:
        """How the package computes while its file is broken."""
        name = self.file.removeprefix("kernels/").removesuffix(".py")
        if name in SOURCE:
            return "source"
        return "compiled" if name in COMPILED or self.file.startswith("network/") else "plain"


MUTATIONS = [Mutation(file, tuple(subjects), *change) for (file, *subjects), rows in TABLE.items() for change in rows]
QUICK = [
    Mutation(file, tuple(subjects), *rows[0])
    for (file, *subjects), rows in TABLE.items()
    if file.startswith("layers/") or file == "losses.py"
]


class Outcome(NamedTuple):
    """Who noticed."""

    gradcheck: bool
    tests: bool


class CannotTryError(Exception):
    """A mutation whose text is not in the source just once, or a copy that cannot be run."""


# Run in the copy. A gradient check that stops with an error has noticed, too; a name that does not exist is a slip in
# the table.
INSIDE = """
import json, sys
from pathlib import Path
import pytest
import nncore
from nncore import gradcheck, kernels
assert Path(nncore.__file__).is_relative_to(Path.cwd())
subjects, tests, way = json.loads(sys.argv[1])
if way == "source":
    kernels.available = lambda: True
try:
    noticed = any(not check.passed for subject in subjects for check in gradcheck.check(subject))
except NameError:
    raise
except Exception:
    noticed = True
status = tests and pytest.main(["-x", "-q", "-m", "not torch and not slow", "-p", "no:cacheprovider", *tests])
print()
print(json.dumps([noticed, int(status or 0)]))
"""


def make_copy(folder: Path) -> Path:
    """Copy the package and its tests into a folder."""
    for name in ("nncore", "tests", "webdemo"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", folder)
    return folder


def check_copy(
    folder: Path, subjects: Sequence[str], tests: Sequence[str], way: str, mutation: Mutation | None
) -> Outcome:
    """Run gradient checks and tests on a copy of the package, with one change made or none."""
    path = folder / "nncore" / (mutation.file if mutation else "types.py")
    before, times = path.read_text(encoding="utf-8"), path.stat()
    if mutation:
        path.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        arguments = json.dumps([subjects, tests, way])
        switches = {"NUMBA_DISABLE_JIT": "0" if way == "compiled" else "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment = {**os.environ, **switches, "NNCORE_TEST_SEED": "0", "PYTHONPATH": str(folder)}
        command = [sys.executable, "-c", INSIDE, arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        noticed, status = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise CannotTryError(done.stdout[-2000:] + done.stderr[-2000:]) from None
    if status not in (0, 1):  # pytest: all passed, some failed
        raise CannotTryError(done.stdout[-2000:])
    return Outcome(noticed, status == 1)


def find(mutation: Mutation) -> None:
    """Raise CannotTryError unless the mutation's text stands in its file just once."""
    count = Path(ROOT, "nncore", mutation.file).read_text(encoding="utf-8").count(mutation.old)
    if count != 1:
        raise CannotTryError(f"{mutation.old!r} is {count} times in {mutation.file}: bring the table up to date")


def attempt(mutation: Mutation, copies: Queue[Path], quick: bool) -> Outcome | CannotTryError:
    """Make one mutation in a copy that nobody else uses now, and see who notices."""
    folder = copies.get()
    try:
        find(mutation)
        return check_copy(folder, mutation.subjects, [] if quick else [mutation.tests], mutation.way, mutation)
    except CannotTryError as error:
        return error
    finally:
        copies.put(folder)


def sound(folder: Path, mutations: Sequence[Mutation], quick: bool) -> bool:
    """Whether the same checks pass on a copy in which nothing is broken."""
    for way in sorted({mutation.way for mutation in mutations}):
        those = [mutation for mutation in mutations if mutation.way == way]
        subjects = sorted({subject for mutation in those for subject in mutation.subjects})
        tests = [] if quick else sorted({mutation.tests for mutation in those})
        if any(check_copy(folder, subjects, tests, way, None)):
            return False
    return True


def run(mutations: Sequence[Mutation], quick: bool = False) -> int:
    """Try mutations in two copies of the package, with gradient checks alone if `quick`; the exit status."""
    # Both copies are kept to the end, so that what Numba compiles for one mutation serves the next.
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        folders = [make_copy(Path(folder)) for folder in (first, second)]
        if not sound(folders[0], mutations, quick):
            print("the checks fail before anything is broken")
            return 2
        return try_all(mutations, folders, quick)


def try_all(mutations: Sequence[Mutation], folders: Sequence[Path], quick: bool) -> int:
    """Try mutations, one in each copy at a time, and print a table; the exit status."""
    print(f"{'file':<24} {'what is broken':<36} {'gradient check':<15} tests")
    outcomes = []
    copies: Queue[Path] = Queue()
    for folder in folders:
        copies.put(folder)
    with ThreadPoolExecutor(len(folders)) as pool:
        tries = pool.map(lambda mutation: attempt(mutation, copies, quick), mutations)
        for mutation, outcome in zip(mutations, tries, strict=True):
            print(f"{mutation.file:<24} {mutation.what:<36} ", end="")
            if isinstance(outcome, CannotTryError):
                print(f"CANNOT BE TRIED\n{outcome}", flush=True)
                continue
            outcomes.append(outcome)
            by_gradient = ("caught" if outcome.gradcheck else "no") if mutation.subjects else "-"
            verdict = "" if any(outcome) else "   UNNOTICED"
            by_tests = "-" if quick else "caught" if outcome.tests else "no"
            print(f"{by_gradient:<15} {by_tests}{verdict}", flush=True)
    caught = sum(map(any, outcomes))
    checked, tested = sum(outcome.gradcheck for outcome in outcomes), sum(outcome.tests for outcome in outcomes)
    print(f"\n{len(mutations)} mutations, {caught} caught: {checked} by the gradient check, {tested} by the tests")
    return 2 if len(outcomes) < len(mutations) else int(caught < len(mutations))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description="Break the package, see who notices."
    )
    parser.add_argument("--quick", action="store_true", help="one mutation for each layer and loss")
    quick = parser.parse_args(arguments).quick
    return run(QUICK if quick else MUTATIONS, quick)


if __name__ == "__main__":
    sys.exit(main())
