"""What every layer promises, whatever it computes."""

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nncore.errors import OptionError, ShapeError
from nncore.layers import LAYERS, Layer
from nncore.layers.base import pair, positive, require_image

# Name: (constructor's arguments, input shape). One awkward case of each.
CASES = {
    "Conv2D": ({"filters": 4, "kernel_size": [3, 2], "stride": 2, "padding": [[1, 0], [0, 2]]}, (6, 5, 3)),
    "MaxPool2D": ({"pool_size": [3, 2], "stride": 2}, (6, 5, 3)),
    "AvgPool2D": ({"pool_size": [3, 2], "stride": 2}, (6, 5, 3)),
    "GlobalAvgPool2D": ({}, (4, 5, 3)),
    "Flatten": ({}, (4, 5, 3)),
    "Dense": ({"units": 5}, (7,)),
    "Dropout": ({"rate": 0.4}, (4, 5, 3)),
    "BatchNorm": ({"momentum": 0.7, "epsilon": 0.01}, (4, 5, 3)),
    "ReLU": ({}, (4, 5, 3)),
    "LeakyReLU": ({"negative_slope": 0.2}, (4, 5, 3)),
    "Sigmoid": ({}, (4, 5, 3)),
    "Tanh": ({}, (4, 5, 3)),
    "Softmax": ({}, (6,)),
}
LOOKS_AT_THE_BATCH = {"BatchNorm", "Dropout"}  # in training


def make(name, rng, dtype=np.float64):
    options, input_shape = CASES[name]
    layer = LAYERS[name](**options)
    layer.build(input_shape, rng, dtype)
    for parameter in layer.parameters.values():
        parameter += 0.3 * rng.standard_normal(parameter.shape)
    return layer, input_shape


def forward_and_backward(layer, x, dy):
    y = layer.forward(x, training=True)
    return y, layer.backward(dy), dict(layer.gradients)


def test_every_layer_has_a_case():
    assert set(CASES) == set(LAYERS), "add the new layer to CASES above"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_shapes_and_types(rng, name, dtype):
    layer, input_shape = make(name, rng, dtype)
    shapes = {key: array.shape for key, array in layer.parameters.items()}
    assert layer.parameter_shapes(input_shape) == shapes
    for n in (1, 3):
        x = rng.standard_normal((n, *input_shape)).astype(dtype)
        dy = rng.standard_normal((n, *layer.output_shape(input_shape))).astype(dtype)
        y, dx, gradients = forward_and_backward(layer, x, dy)
        assert (y.shape, y.dtype) == (dy.shape, dtype)
        assert (dx.shape, dx.dtype) == (x.shape, dtype)
        assert {key: array.shape for key, array in gradients.items()} == shapes
        assert all(array.dtype == dtype for array in gradients.values())
        assert (layer.forward(x).shape, layer.forward(x).dtype) == (dy.shape, dtype)
        assert all(array.dtype == dtype for array in layer.state.values() if array.dtype != np.uint64)


@pytest.mark.parametrize("name", CASES)
def test_float32_gives_the_numbers_of_float64_but_rounded(rng, name):
    layer, input_shape = make(name, rng)
    single = copy.deepcopy(layer)
    single.parameters = {key: array.astype(np.float32) for key, array in layer.parameters.items()}
    single.state = {k: a if a.dtype == np.uint64 else a.astype(np.float32) for k, a in single.state.items()}
    x = rng.standard_normal((3, *input_shape)).astype(np.float32)
    dy = rng.standard_normal((3, *layer.output_shape(input_shape))).astype(np.float32)
    y, dx, gradients = forward_and_backward(layer, x.astype(np.float64), dy.astype(np.float64))
    single_y, single_dx, single_gradients = forward_and_backward(single, x, dy)
    # No layer here adds up more than a hundred products of size 1.
    np.testing.assert_allclose(single_y, y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(single_dx, dx, rtol=1e-4, atol=1e-5)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(single_gradients[key], gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_left_alone(rng, name):
    layer, input_shape = make(name, rng)
    x = rng.standard_normal((3, *input_shape))
    dy = rng.standard_normal((3, *layer.output_shape(input_shape)))
    copies = x.copy(), dy.copy(), copy.deepcopy(layer.parameters)
    layer.forward(x)
    forward_and_backward(layer, x, dy)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(dy, copies[1])
    for key, parameter in layer.parameters.items():
        np.testing.assert_array_equal(parameter, copies[2][key])


@pytest.mark.parametrize("name", CASES)
def test_arrays_that_do_not_lie_in_one_piece(rng, name):
    layer, input_shape = make(name, rng)
    twin = copy.deepcopy(layer)
    x = rng.standard_normal((*input_shape[::-1], 4)).T[::2]
    dy = rng.standard_normal((*layer.output_shape(input_shape)[::-1], 4)).T[::2]
    assert not x.flags.c_contiguous
    y, dx, gradients = forward_and_backward(layer, x, dy)
    straight_y, straight_dx, straight_gradients = forward_and_backward(twin, x.copy("C"), dy.copy("C"))
    np.testing.assert_allclose(y, straight_y, atol=1e-12)
    np.testing.assert_allclose(dx, straight_dx, atol=1e-12)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, straight_gradients[key], atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_an_empty_batch_gives_an_empty_output(rng, name):
    layer, input_shape = make(name, rng)
    y = layer.forward(np.zeros((0, *input_shape)))
    assert y.shape == (0, *layer.output_shape(input_shape))
    if name != "BatchNorm":  # nothing has no mean
        dx = layer.backward(layer.forward(np.zeros((0, *input_shape)), training=True))
        assert dx.shape == (0, *input_shape)
        assert not any(gradient.any() for gradient in layer.gradients.values())


@pytest.mark.parametrize("name", CASES)
def test_prediction_writes_nothing_and_sees_each_example_alone(rng, name):
    layer, input_shape = make(name, rng)
    x = rng.standard_normal((5, *input_shape))
    layer.forward(x, training=True)  # leaves something that prediction might overwrite
    before = pickle.dumps(vars(layer))
    y = layer.forward(x)
    assert pickle.dumps(vars(layer)) == before
    for i in range(5):
        np.testing.assert_allclose(layer.forward(x[i : i + 1])[0], y[i], atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(CASES) - LOOKS_AT_THE_BATCH))
def test_training_computes_what_prediction_does(rng, name):
    layer, input_shape = make(name, rng)
    x = rng.standard_normal((3, *input_shape))
    np.testing.assert_array_equal(layer.forward(x, training=True), layer.forward(x))


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_one_batch_not_a_sum_over_batches(rng, name):
    layer, input_shape = make(name, rng)
    twin = copy.deepcopy(layer)
    x, x2 = rng.standard_normal((2, 3, *input_shape))
    dy, dy2 = rng.standard_normal((2, 3, *layer.output_shape(input_shape)))
    forward_and_backward(layer, x2, dy2)
    twin.forward(x2, training=True)  # counts for dropout
    _, dx, gradients = forward_and_backward(layer, x, dy)
    _, fresh_dx, fresh_gradients = forward_and_backward(twin, x, dy)
    np.testing.assert_array_equal(dx, fresh_dx)
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, fresh_gradients[key])


@pytest.mark.parametrize("name", CASES)
def test_backward_follows_a_training_forward_once(rng, name):
    layer, input_shape = make(name, rng)
    x = rng.standard_normal((2, *input_shape))
    dy = layer.forward(x)
    message = rf"{name}.backward needs a forward\(x, training=True\) before it"
    with pytest.raises(RuntimeError, match=message):
        layer.backward(dy)
    layer.forward(x, training=True)
    layer.backward(dy)
    with pytest.raises(RuntimeError, match=message):
        layer.backward(dy)


@pytest.mark.parametrize("name", CASES)
def test_config_makes_the_same_layer_again(rng, name):
    layer, input_shape = make(name, rng)
    again = LAYERS[name](**json.loads(json.dumps(layer.config())))
    assert again.config() == layer.config()
    assert again.describe() == layer.describe()
    again.parameters, again.state = copy.deepcopy((layer.parameters, layer.state))
    x = rng.standard_normal((2, *input_shape))
    for training in (False, True):
        np.testing.assert_array_equal(again.forward(x, training), layer.forward(x, training))
    for key, option in CASES[name][0].items():
        assert np.array_equal(np.broadcast_to(option, np.shape(layer.config()[key])), layer.config()[key])


def test_threads_may_predict_at_once(rng):
    layers = [make(name, rng)[0] for name in ("Conv2D", "MaxPool2D", "BatchNorm")]
    batches = rng.standard_normal((8, 4, 6, 5, 3))

    def predict(x):
        y = [layers[0].forward(x), layers[1].forward(x), layers[2].forward(x)]
        return np.concatenate([part.ravel() for part in y])

    one_by_one = [predict(x) for x in batches]
    with ThreadPoolExecutor(4) as pool:
        for at_once, alone in zip(pool.map(predict, batches), one_by_one, strict=True):
            np.testing.assert_array_equal(at_once, alone)


def test_a_layer_without_passes_says_so():
    class Nothing(Layer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must define forward"):
        Nothing().forward(np.zeros(1))
    with pytest.raises(NotImplementedError, match="Nothing must define backward"):
        Nothing().backward(np.zeros(1))
    assert Nothing().output_shape((3, 4)) == (3, 4)
    assert Nothing().flops((3, 4)) == 0
    assert Nothing().config() == {}
    assert Nothing().describe() == "Nothing"


def test_positive_and_pair():
    assert pair("Layer", "size", 3) == (3, 3)
    assert pair("Layer", "size", [2, np.int64(5)]) == (2, 5)
    assert type(positive("Layer", "size", np.int32(4))) is int
    for value in (0, -1, 1.0, True, "3", None):
        with pytest.raises(OptionError, match="Layer: size must be a whole number of at least 1, not"):
            positive("Layer", "size", value)
        with pytest.raises(OptionError, match="size must be a whole number"):
            pair("Layer", "size", (1, value))
    for value in ((1,), (1, 2, 3), []):
        with pytest.raises(OptionError, match="Layer: size must be one number or two"):
            pair("Layer", "size", value)


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (1, 2, 3, 4)])
def test_require_image(shape):
    layer = LAYERS["Flatten"]()
    require_image(layer, (2, 3, 4))
    with pytest.raises(ShapeError, match=r"Flatten takes images .* its input is"):
        require_image(layer, shape)
