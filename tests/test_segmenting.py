"""What labels each pixel of an image: filters wider than their maps, resized outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_nets import Net

import fastconv

#: size of the map, taps, strides, dilations, padding of each side, taps that meet the map
WIDE: list[tuple[Any, ...]] = [
    ((14, 14), (3, 3), (1, 1), (24, 24), (24, 24, 24, 24), (1, 1)),
    ((14, 5), (3, 3), (1, 1), (12, 12), (12, 12, 12, 12), (3, 1)),
    ((6, 4), (3, 5), (2, 1), (4, 3), (9, 9, 0, 3), (2, 3)),
    ((3, 14), (1, 4), (1, 3), (1, 9), (2, 8, 2, 20), (1, 3)),
    ((14,), (3,), (1,), (36,), (30, 30), (2,)),
    ((4, 4), (2, 2), (1, 1), (9, 9), (30, 30, 30, 30), (2, 2)),
    ((3, 4, 5), (3, 3, 3), (1, 1, 1), (3, 4, 2), (3, 4, 2, 3, 4, 2), (1, 1, 3)),
]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("case", WIDE, ids=str)
def test_taps_in_the_padding_are_left_out(case: Any, groups: int, dtype: str) -> None:
    size, taps, strides, dilations, pads, inside = case
    net = Net(dtype)
    attributes: dict[str, Any] = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "group": groups,
    }
    weight = net.random(6, 6 // groups, *taps)
    proto = net.model([1, 6, *size], net.add("Conv", "x", weight, net.random(6), **attributes))
    model = fastconv.load(proto)
    x = np.random.default_rng(1).standard_normal((2, 6, *size)).astype(dtype)
    y: Any = model(x)
    expected: Any = ReferenceEvaluator(proto).run(None, {"x": x})
    expected = expected[0]
    np.testing.assert_allclose(y, expected, rtol=0, atol=200 * float(np.finfo(dtype).eps))
    (line,) = [line for line in model.summary(x.shape).lines if "Conv" in line.label]
    products = 6 // groups * np.prod(inside)
    assert line.mflop * 1e6 == pytest.approx(2 * expected.size * products)


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("factors", [(3, 2), (1.5, 1), (1, 2.5), (0.5, 3)])
def test_outputs_that_grow_are_planes_from_the_start(mode: str, factors: Any, dtype: str) -> None:
    net = Net(dtype)
    x = net.conv("x", 3, 21, 3, pads=[1] * 4)
    resized = net.add("Resize", x, "", net.const([1, 1, *factors], np.float32), mode=mode)
    proto = net.model([None, 3, None, None], resized)
    model = fastconv.load(proto)
    for shape in ((1, 3, 8, 6), (2, 3, 4, 10)):
        image = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        expected: Any = ReferenceEvaluator(proto).run(None, {"x": image})
        y: Any = model(image)
        # the reference interpolates in single precision
        np.testing.assert_allclose(y, expected[0], rtol=0, atol=1e-5)
    if np.prod(factors) > 1:
        assert "output" not in [line.label for line in model.summary((1, 3, 8, 6)).lines]
