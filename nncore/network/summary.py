"""A network as a table."""

from collections.abc import Mapping, Sequence

from nncore.layers import Layer
from nncore.types import Shape


def table(layers: Sequence[Layer], shapes: Sequence[Shape], algorithms: Mapping[Layer, str], batch_size: int) -> str:
    """What each layer is, the shape that it returns, its parameters and its work for one example.

    shapes: of one example, before the first layer and after each. algorithms: how a convolution of `batch_size`
    examples is computed.
    """
    rows = [
        ("layer", "output shape", "parameters", "MFLOP", f"algorithm at batch {batch_size}"),
        ("input", str(shapes[0]), "", "", ""),
    ]
    parameters = operations = 0
    for layer, before, after in zip(layers, shapes, shapes[1:], strict=False):
        if layer.is_activation and len(rows) > 2:
            rows[-1] = (f"{rows[-1][0]} + {layer.describe()}", *rows[-1][1:])
            continue
        count, flops = sum(array.size for array in layer.parameters.values()), layer.flops(before)
        parameters, operations = parameters + count, operations + flops
        work = f"{flops / 1e6:.2f}" if flops else ""
        rows.append((layer.describe(), str(after), f"{count:,}", work, algorithms.get(layer, "")))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, "<<>><", widths, strict=True)).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    total = f"{parameters:,} parameters, {operations / 1e6:.1f} MFLOP forward for one example"
    return "\n".join([lines[0], rule, *lines[1:], rule, total])
