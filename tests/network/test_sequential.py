import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncore import kernels
from nncore.errors import OptionError, ShapeError, WeightsError
from nncore.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from nncore.network import weights
from nncore.network.models import MODELS, compact, reference
from nncore.network.sequential import Sequential, layer_names, layer_shapes, parameter_shapes


def every_layer(seed=0, dtype=np.float32):
    """A network that has every kind of layer, with other than the usual arguments."""
    return Sequential(
        [
            Conv2D(4, (3, 2), (1, 2), ((1, 0), (0, 2)), use_bias=False, initializer="glorot"),
            BatchNorm(momentum=0.7, epsilon=1e-3),
            LeakyReLU(0.2),
            MaxPool2D((2, 1), (1, 1)),
            Conv2D(3, 3, padding="same"),
            Sigmoid(),
            AvgPool2D(2, 1),
            Dropout(0.3),
            Flatten(),
            Dense(7, use_bias=False),
            BatchNorm(),
            Tanh(),
            Dense(6, initializer="glorot"),
            ReLU(),
            Softmax(),
        ],
        (7, 9, 2),
        seed,
        dtype,
    )


def train_a_little(network, rng, steps=2):
    for _ in range(steps):
        y = network.forward(rng.standard_normal((5, *network.input_shape)), training=True)
        network.backward(y)
        for name, parameter in network.parameters().items():
            parameter -= 0.1 * network.gradients()[name]


def contents(network):
    return {**network.parameters(), **network.state()}


def assert_same(network, other):
    assert contents(network).keys() == contents(other).keys()
    for name, array in contents(network).items():
        assert contents(other)[name].dtype == array.dtype
        assert contents(other)[name].tobytes() == array.tobytes()


# Forward and backward


def test_forward_and_backward_are_the_layers_in_a_row(rng):
    network, twin = every_layer(3, np.float64), every_layer(3, np.float64)
    x = rng.standard_normal((4, 7, 9, 2))
    y, expected = network.forward(x, training=True), x
    for layer in twin.layers:
        expected = layer.forward(expected, training=True)
    np.testing.assert_allclose(y, expected, rtol=1e-10)
    assert y.dtype == np.float64
    dy = rng.standard_normal(y.shape)
    assert network.backward(dy) is None
    for layer in reversed(twin.layers):
        dy = layer.backward(dy)
    for name, gradient in network.gradients().items():
        assert gradient.dtype == np.float64
        np.testing.assert_allclose(gradient, twin.gradients()[name], rtol=1e-8, atol=1e-12, err_msg=name)
    assert network.gradients().keys() == network.parameters().keys()


def test_names_count_each_kind_of_layer():
    assert layer_names([Dense(3), ReLU(), Dense(2), Conv2D(1, 1)]) == ["dense_1", "relu_1", "dense_2", "conv2d_1"]
    network = every_layer()
    assert [name for name, _ in parameter_shapes(network.layers, (7, 9, 2))] == list(network.parameters())
    assert dict(parameter_shapes(network.layers, (7, 9, 2))) == {
        name: array.shape for name, array in network.parameters().items()
    }


def test_parameters_are_the_arrays_themselves():
    network = compact()
    for name, array in network.parameters().items():
        array[...] = 0
        assert not network.parameters()[name].any()
    assert not network.predict(np.ones((1, 28, 28, 1))).any()


def test_any_type_and_memory_layout_of_input_gives_the_same(rng):
    network = compact()
    x = rng.integers(0, 2, (3, 28, 28, 1))
    expected = network.forward(x.astype(np.float32))
    for same in (x, x.astype(np.uint8), x.astype(np.float64), np.asfortranarray(x), x[:, ::-1][:, ::-1], x != 0):
        np.testing.assert_array_equal(network.forward(same), expected)


@pytest.mark.parametrize(("count", "batch_size"), [(0, 5), (1, 5), (5, 5), (13, 5), (13, 1), (13, 100)])
def test_predict_in_batches_equals_forward(rng, count, batch_size):
    network = every_layer(1, np.float64)
    train_a_little(network, rng)
    x = rng.standard_normal((count, 7, 9, 2))
    np.testing.assert_allclose(network.predict(x, batch_size), network.forward(x), rtol=1e-12)
    assert network.predict(x, batch_size).shape == (count, 6)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, None])
def test_predict_refuses_batches_of_nothing(batch_size):
    with pytest.raises(OptionError, match="batch_size"):
        compact().predict(np.zeros((3, 28, 28, 1)), batch_size)


def test_predict_leaves_no_trace(rng):
    network = every_layer(1)
    train_a_little(network, rng)
    before = {name: array.copy() for name, array in contents(network).items()}
    network.predict(rng.standard_normal((9, 7, 9, 2)))
    for name, array in contents(network).items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(RuntimeError, match="needs a forward"):
        network.backward(np.zeros((9, 6), np.float32))


def test_predict_needs_the_memory_of_one_batch_for_10_000_images():
    network = Sequential([MaxPool2D(2), Conv2D(16, 3), ReLU(), Flatten(), Dense(10)], (28, 28, 1))
    x = np.zeros((10_000, 28, 28, 1), np.float32)
    network.predict(x[:128])  # what compiling takes is another matter

    def peak(count):
        tracemalloc.start()
        network.predict(x[:count])
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(10_000) < 1.1 * peak(128) + 10_000 * 10 * 4


def test_eight_threads_may_predict_at_once(rng):
    network = compact()
    x = rng.random((60, 28, 28, 1), np.float32)
    expected = network.predict(x, 20)
    answers = []

    def work():
        for _ in range(3):
            answers.append(network.predict(x, 20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 24
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


WORKQUEUE = """
import sys
import threading
import numba
import numpy as np
from nncore.kernels import turn
from nncore.network.models import compact
network, other, x = compact(seed=1), compact(seed=2), np.zeros((40, 28, 28, 1), np.float32)
failed = []

def work(number):
    try:
        for count in range(20):
            network.predict(x[: 1 + count]), other.forward(x[:5]), other.forward(x[: 40 - number])
    except BaseException as error:
        failed.append(error)

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
print(numba.threading_layer(), turn() is turn())
"""


def test_eight_threads_may_predict_at_once_even_where_numba_runs_one_kernel_at_a_time():
    if not kernels.available():
        pytest.skip("needs Numba")
    numba = pytest.importorskip("numba")
    numba.get_num_threads()  # starts them
    for layer in {"workqueue", numba.threading_layer()}:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_THREADING_LAYER": layer}
        command = [sys.executable, "-c", WORKQUEUE]
        done = subprocess.run(command, env=environment, check=True, timeout=300, capture_output=True, text=True)
        assert done.stdout.split() == [layer, str(layer == "workqueue")]


# Shapes that do not fit


@pytest.mark.parametrize("shape", [(28, 28, 1), (2, 28, 28), (2, 28, 28, 3), (2, 784), (), (0, 27, 28, 1)])
def test_a_wrong_input_names_both_shapes(shape):
    with pytest.raises(ShapeError, match=re.escape(f"takes batches (N, 28, 28, 1), but was given {shape}")):
        compact().forward(np.zeros(shape))


def test_a_wrong_input_of_rows_names_both_shapes():
    with pytest.raises(ShapeError, match=re.escape("batches (N, 5), but was given (3, 4)")):
        Sequential([Dense(2)], (5,)).predict(np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("layers", "input_shape", "name", "shapes"),
    [
        ([Conv2D(4, 3), Dense(10)], (28, 28, 1), "dense_1", ["Dense 10", "(inputs,)", "(26, 26, 4)"]),
        ([Flatten(), Conv2D(4, 3)], (8, 8, 1), "conv2d_1", ["(height, width, channels)", "(64,)"]),
        ([Conv2D(4, 3), Conv2D(2, (3, 5))], (4, 6, 1), "conv2d_2", ["(3, 5)", "(2, 4, 4)"]),
        ([MaxPool2D(2), MaxPool2D(2)], (3, 3, 1), "maxpool2d_2", ["(2, 2)", "(1, 1, 1)"]),
        ([Dense(4), AvgPool2D(2)], (3,), "avgpool2d_1", ["(height, width, channels)", "(4,)"]),
        ([GlobalAvgPool2D()], (3,), "globalavgpool2d_1", ["(height, width, channels)", "(3,)"]),
    ],
)
def test_neighbours_that_do_not_fit_are_named_with_both_shapes(layers, input_shape, name, shapes):
    with pytest.raises(ShapeError) as error:
        Sequential(layers, input_shape)
    assert str(error.value).startswith(f"{name}: ")
    for shape in shapes:
        assert shape in str(error.value)
    with pytest.raises(ShapeError, match=name):
        layer_shapes(layers, input_shape)


@pytest.mark.parametrize("input_shape", [(0,), (-5,), (2.0,), ("3",), (True,), (None,), ((3, 3),)])
def test_an_input_shape_must_be_positive_whole_numbers(input_shape):
    with pytest.raises(OptionError, match="input_shape must be a whole number"):
        Sequential([Dense(2)], input_shape)


def test_an_empty_network_or_input_is_refused():
    with pytest.raises(OptionError, match="expected layers"):
        Sequential([], (3,))
    with pytest.raises(OptionError, match=r"not .* and \(\)"):
        Sequential([Flatten()], ())


def test_a_layer_used_twice_is_refused():
    relu = ReLU()
    with pytest.raises(OptionError, match="used twice"):
        Sequential([Dense(3), relu, Dense(3), relu], (3,))


# The table

REFERENCE = """\
layer                         output shape   parameters  MFLOP  algorithm at batch 128
--------------------------------------------------------------------------------------
input                         (28, 28, 1)
Conv2D 64, 3x3 valid + ReLU   (26, 26, 64)          640   0.78  first
Conv2D 128, 3x3 valid + ReLU  (24, 24, 128)      73,856  84.93  second
MaxPool2D 2x2                 (12, 12, 128)           0
Dropout 0.25                  (12, 12, 128)           0
Conv2D 128, 3x3 valid + ReLU  (10, 10, 128)     147,584  29.49  third
MaxPool2D 2x2                 (5, 5, 128)             0
Dropout 0.25                  (5, 5, 128)             0
Flatten                       (3200,)                 0
Dense 256 + ReLU              (256,)            819,456   1.64
Dropout 0.5                   (256,)                  0
Dense 10                      (10,)               2,570   0.01
--------------------------------------------------------------------------------------
1,044,106 parameters, 116.8 MFLOP forward for one example"""


def test_the_summary_of_the_reference_network(monkeypatch):
    network = reference()
    convolutions = [layer for layer in network.layers if isinstance(layer, Conv2D)]
    names = dict(zip(convolutions, ("first", "second", "third"), strict=True))
    monkeypatch.setattr(network, "_algorithms", lambda batch_size: names if batch_size == 128 else {})
    assert network.summary() == REFERENCE


def test_a_summary_tells_of_arguments_and_of_an_activation_at_the_start():
    network = Sequential([ReLU(), Conv2D(2, 3, 2, "same"), Tanh(), BatchNorm(), Flatten(), Dense(1)], (5, 4, 3))
    assert [line.split("  ")[0] for line in network.summary().splitlines()[2:-2]] == [
        "input",
        "ReLU",
        "Conv2D 2, 3x3 same, stride 2x2 + Tanh",
        "BatchNorm",
        "Flatten",
        "Dense 1",
    ]
    assert "(3, 2, 2)" in network.summary()
    assert network.count_parameters() == (27 + 1) * 2 + 4 + 12 + 1
    assert network.flops() == 2 * (3 * 2 * 2 * 27 + 12)


# Saving and loading


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.npz"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loaded_network_is_the_saved_one_bit_for_bit(path, rng, dtype):
    network = every_layer(5, dtype)
    train_a_little(network, rng)
    made_by = {"seed": 3, "note": "ünï ☃", "nested": {"loss": [0.1, 1e-300]}}
    network.save(path, made_by)
    loaded = Sequential.load(path)
    assert_same(loaded, network)
    assert loaded.made_by == made_by
    assert loaded.architecture() == network.architecture()
    assert (loaded.dtype, loaded.shapes, loaded.names) == (network.dtype, network.shapes, network.names)
    x = rng.standard_normal((3, 7, 9, 2))
    np.testing.assert_array_equal(loaded.predict(x), network.predict(x))
    # The counters of dropout and the running means go on from where they were.
    np.testing.assert_array_equal(loaded.forward(x, training=True), network.forward(x, training=True))
    assert_same(loaded, network)
    before = path.read_bytes()
    Sequential.load(path).save(path)  # what it was made by is kept
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", MODELS)
def test_the_named_networks_return(path, name):
    network = MODELS[name](seed=4)
    network.save(path)
    assert_same(Sequential.load(path), network)
    assert Sequential.load(path).made_by == {}


def test_arrays_in_fortran_order_load_as_the_same_numbers(path):
    network = every_layer()
    network.save(path)
    with weights.Reader(path) as file:
        arrays, metadata = file.arrays(), file.metadata
    weights.write(path, {name: np.asfortranarray(array) for name, array in arrays.items()}, metadata)
    assert b"'fortran_order': True" in path.read_bytes()
    loaded = Sequential.load(path)
    assert_same(loaded, network)
    assert all(array.flags.c_contiguous for array in contents(loaded).values())


def small():
    return Sequential([Conv2D(2, 3), BatchNorm(), ReLU(), Dropout(0.5), Flatten(), Dense(3)], (5, 5, 1))


def write(path, change):
    """A file of the small network, after `change(arrays, metadata)`."""
    network = small()
    arrays = contents(network)
    metadata = {
        "format": "nncore network",
        "version": 1,
        "architecture": json.loads(json.dumps(network.architecture())),
        "made_by": {},
    }
    change(arrays, metadata)
    weights.write(path, arrays, metadata)


def refused(path):
    """The text of the WeightsError that loading gives, for a few MiB at most."""
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as error:
            Sequential.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_helper_writes_what_save_does(path, tmp_path):
    write(path, lambda arrays, metadata: None)
    small().save(tmp_path / "saved.npz")
    assert path.read_bytes() == (tmp_path / "saved.npz").read_bytes()


BAD_METADATA = {
    "other format": (lambda m: m.update(format="something else"), "not 'nncore network'"),
    "no format": (lambda m: m.pop("format"), "None"),
    "future": (lambda m: m.update(version=2), "version 2, this nncore reads version 1"),
    "no version": (lambda m: m.pop("version"), "version None"),
    "no architecture": (lambda m: m.pop("architecture"), "architecture"),
    "architecture of text": (lambda m: m.update(architecture="Dense"), "makes no sense"),
    "no made_by": (lambda m: m.pop("made_by"), "made_by"),
    "made_by of text": (lambda m: m.update(made_by="me"), "makes no sense"),
}


@pytest.mark.parametrize("case", BAD_METADATA)
def test_a_description_of_something_else_is_refused(path, case):
    change, reason = BAD_METADATA[case]
    write(path, lambda arrays, metadata: change(metadata))
    assert reason in refused(path)


def layer(**config):
    return lambda a: a["layers"].append(config)


BAD_ARCHITECTURES = {
    "unknown layer": (layer(type="Backdoor"), "'Backdoor'"),
    "base layer": (layer(type="Layer"), "'Layer'"),
    "layer of a number": (layer(type=3), "3"),
    "layer of a list": (layer(type=["ReLU"]), "makes no sense"),
    "layer without a type": (layer(units=3), "type"),
    "layer that is no object": (lambda a: a["layers"].append("ReLU"), "makes no sense"),
    "argument unknown": (layer(type="Dense", units=3, neurons=4), "neurons"),
    "argument missing": (layer(type="Dense"), "units"),
    "argument of text": (layer(type="Dense", units="many"), "units"),
    "argument negative": (layer(type="Dense", units=-1), "units"),
    "argument of wrong kind": (layer(type="Conv2D", filters=1, kernel_size={"a": 1}), "kernel_size"),
    "self": (layer(type="Dense", units=1, self=2), "makes no sense"),
    "rate of text": (layer(type="Dropout", rate="half"), "makes no sense"),
    "rate NaN": (layer(type="Dropout", rate=float("nan")), "rate"),
    "does not fit": (layer(type="Conv2D", filters=1, kernel_size=3), "conv2d_2"),
    "absurd Dense": (layer(type="Dense", units=10**12), "dense_2.kernel"),
    "absurd Conv2D": (lambda a: a["layers"][0].update(filters=10**15), "conv2d_1.kernel"),
    "absurd padding": (lambda a: a["layers"][0].update(padding=10**9), "dense_1.kernel"),
    "units of 4,000 digits": (layer(type="Dense", units=10**4000), "dense_2.kernel"),
    "deeper than the file": (layer(type="Dense", units=3), "dense_2.kernel should have the shape (3, 3), but has None"),
    "no layers": (lambda a: a["layers"].clear(), "expected layers"),
    "layers of a number": (lambda a: a.update(layers=3), "makes no sense"),
    "huge input": (lambda a: a.update(input_shape=[10**9, 10**9, 1]), "dense_1.kernel"),
    "negative input": (lambda a: a.update(input_shape=[-5, -5, 1]), "conv2d_1"),
    "empty input": (lambda a: a.update(input_shape=[]), "()"),
    "input of zeros": (lambda a: a.update(input_shape=[0, 0, 0]), "conv2d_1"),
    "input of fractions": (lambda a: a.update(input_shape=[5.0, 5.0, 1.0]), "whole number"),
    "input of text": (lambda a: a.update(input_shape="551"), "makes no sense"),
    "input of nothing": (lambda a: a.update(input_shape=None), "makes no sense"),
    "other dtype": (lambda a: a.update(dtype="float16"), "float16"),
    "wrong dtype": (lambda a: a.update(dtype="float64"), "float32"),
    "dtype of a list": (lambda a: a.update(dtype=[]), "makes no sense"),
    "other shapes": (lambda a: a["layers"][-1].update(units=4), "(18, 4)"),
}


@pytest.mark.parametrize("case", BAD_ARCHITECTURES)
def test_an_architecture_that_makes_no_sense_is_refused(path, case):
    change, reason = BAD_ARCHITECTURES[case]
    write(path, lambda arrays, metadata: change(metadata["architecture"]))
    assert reason in refused(path)


@pytest.mark.parametrize(
    ("layers", "input_shape"),
    [
        ([{"type": "BatchNorm"}], []),
        ([{"type": "Flatten"}, {"type": "Dense", "units": 3}], []),
        ([{"type": "Dense", "units": 3}], [0]),
        ([{"type": "Flatten"}, {"type": "BatchNorm"}], [-2, -3]),
        ([{"type": "ReLU"}], [-1]),
        ([{"type": "Dropout", "rate": 0.5}], [0, 2**70]),
    ],
)
def test_an_input_shape_that_nothing_can_have_is_refused_even_where_the_arrays_agree(path, layers, input_shape):
    def change(arrays, metadata):
        metadata["architecture"].update(layers=layers, input_shape=input_shape)
        arrays.clear()
        for units in ((), (1, 3), (0, 3), (6,)):
            name = "dense_1.kernel" if len(units) == 2 else "batchnorm_1.gamma"
            arrays[name] = np.zeros(units, np.float32)

    write(path, change)
    refused(path)


BAD_ARRAYS = {
    "missing": (lambda a: a.pop("dense_1.bias"), "dense_1.bias"),
    "state missing": (lambda a: a.pop("batchnorm_1.running_mean"), "batchnorm_1.running_mean is only in the network"),
    "extra": (lambda a: a.update(more=np.zeros(3)), "more is only in the file"),
    "none": (lambda a: a.clear(), "conv2d_1.kernel"),
    "float64": (lambda a: a.update({"dense_1.bias": np.zeros(3)}), "float64"),
    "integers": (lambda a: a.update({"dense_1.bias": np.zeros(3, np.int32)}), "int32"),
    "other byte order": (lambda a: a.update({"dense_1.bias": np.zeros(3, ">f4")}), "float32"),
    "complex": (lambda a: a.update({"dense_1.bias": np.zeros(3, np.complex64)}), "complex64"),
    "text": (lambda a: a.update({"dense_1.bias": np.array(["a", "b", "c"])}), "<U1"),
    "transposed": (lambda a: a.update({"dense_1.kernel": a["dense_1.kernel"].T}), "(3, 18)"),
    "state of other shape": (lambda a: a.update({"dropout_1.seed_and_count": np.zeros(1, np.uint64)}), "(1,)"),
    "state of other type": (lambda a: a.update({"dropout_1.seed_and_count": np.zeros(2, np.int64)}), "int64"),
    "NaN": (lambda a: a["dense_1.kernel"].__setitem__((4, 1), np.nan), "kernel holds numbers that are infinite"),
    "inf": (lambda a: a["conv2d_1.bias"].__setitem__(0, -np.inf), "conv2d_1.bias holds"),
    "NaN in state": (lambda a: a["batchnorm_1.running_variance"].__setitem__(0, np.nan), "running_variance holds"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_are_not_the_networks_are_refused(path, case):
    change, reason = BAD_ARRAYS[case]
    write(path, lambda arrays, metadata: change(arrays))
    assert reason in refused(path)


def test_assign_changes_nothing_when_it_refuses(rng):
    network, other = every_layer(1), every_layer(2)
    before = {name: array.copy() for name, array in contents(network).items()}
    arrays = contents(other)
    arrays["dense_2.kernel"] = np.full_like(arrays["dense_2.kernel"], np.nan)
    with pytest.raises(WeightsError, match=r"dense_2\.kernel"):
        network.assign(arrays)
    for name, array in contents(network).items():
        np.testing.assert_array_equal(array, before[name])
    network.assign(contents(other))
    assert_same(network, other)


KINDS = st.sampled_from(["Conv2D", "MaxPool2D", "Flatten", "Dense", "Dropout", "BatchNorm", "ReLU", "LeakyReLU"])
ARGUMENTS = st.sampled_from(["filters", "kernel_size", "padding", "units", "rate", "momentum", "epsilon", "stride"])
NUMBERS = st.integers() | st.integers(-1, 9) | st.floats()
VALUES = st.none() | st.booleans() | NUMBERS | st.text(max_size=3) | st.lists(NUMBERS, max_size=3)
LAYERS = st.builds(lambda kind, config: {"type": kind, **config}, KINDS, st.dictionaries(ARGUMENTS, VALUES, max_size=3))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(LAYERS, max_size=4), st.lists(VALUES, max_size=4) | VALUES)
def test_any_description_gives_a_network_or_one_kind_of_error(tmp_path_factory, layers, input_shape):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    architecture = {"layers": layers, "input_shape": input_shape, "dtype": "float32"}
    description = {"format": "nncore network", "version": 1, "architecture": architecture, "made_by": {}}
    weights.write(path, {}, description)
    try:
        outcome = str(Sequential.load(path).parameters())
    except WeightsError as error:
        outcome = str(error)
    assert outcome == "{}" or str(path) in outcome


def test_a_file_of_no_network_is_refused(path):
    weights.write(path, {"a": np.zeros(3)}, {"steps": 3})  # a checkpoint, for instance
    assert "not 'nncore network'" in refused(path)
    path.write_bytes(b"")
    refused(path)
    path.unlink()
    assert "there is no weights file" in refused(path)


def test_a_frozen_network_predicts_the_same_and_cannot_be_changed(rng):
    network = MODELS["reference"](seed=3)
    x = rng.random((3, *network.input_shape), np.float32)
    before = [network.predict(x), network.predict(x[:1])]
    network.freeze()
    for expected, count in zip(before, (3, 1), strict=True):
        np.testing.assert_allclose(network.predict(x[:count]), expected, rtol=1e-4, atol=1e-5)
    for array in [*network.parameters().values(), *network.state().values()]:
        with pytest.raises(ValueError, match="read-only"):
            array += array
    with pytest.raises(OptionError, match="a frozen network only predicts"):
        network.forward(x, training=True)


def test_it_says_how_convolutions_are_computed():
    layers = [Conv2D(20, 3), ReLU(), Conv2D(20, 3), Conv2D(4, 2, stride=2)]
    plain = Sequential(layers, (12, 12, 2), conv="im2col")
    assert plain.algorithms() == dict.fromkeys(("conv2d_1", "conv2d_2", "conv2d_3"), "im2col")
    assert "im2col" in plain.summary()
    with pytest.raises(OptionError, match="the convolution algorithm 'fft' is unknown: choose auto, im2col, direct"):
        Sequential(layers, (12, 12, 2), conv="fft")
    if kernels.available():
        assert set(Sequential(layers, (12, 12, 2)).algorithms()) == set(plain.algorithms())
        assert Sequential(layers[:1], (12, 12, 2), conv="winograd").algorithms()["conv2d_1"].startswith("winograd F(")
        with pytest.raises(OptionError, match="'winograd' is for kernels from 2x2 to 7x7 and stride 1, not"):
            Sequential(layers, (12, 12, 2), conv="winograd").predict(np.zeros((1, 12, 12, 2)))
    else:
        with pytest.raises(OptionError, match="'direct' needs Numba"):
            Sequential(layers, (12, 12, 2), conv="direct").predict(np.zeros((1, 12, 12, 2)))


def test_a_file_that_says_by_which_algorithm_a_layer_is_computed_still_loads(path):
    small().save(path)
    before = contents(Sequential.load(path))
    write(path, lambda arrays, metadata: metadata["architecture"]["layers"][0].update(algorithm="im2col"))
    loaded = Sequential.load(path)
    assert contents(loaded).keys() == before.keys()
    assert "algorithm" not in loaded.architecture()["layers"][0]
