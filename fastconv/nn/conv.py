"""Convolution layers: shared weights (Conv2d) and unshared ones (LocallyConnected2d)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _native, functional
from .._tuning import fastest
from ..errors import ShapeError
from ..shapes import Pair, ReceptiveField, integer, output_hw, padding_pairs, pair
from .checks import check_choice, check_flag
from .parameter import Array, Parameter
from .volume import VolumeLayer

__all__ = ["Conv2d", "LocallyConnected2d"]

Padding = str | Pair | tuple[Pair, Pair]


def _read_padding(padding: Any, kernel: Pair, stride: Pair, dilation: Pair) -> Padding:
    """Check a padding argument and keep it in its shortest form: a word, (h, w) or both sides."""
    pads = padding_pairs(padding, kernel, kernel, stride, dilation)
    if isinstance(padding, str):
        return padding
    (top, bottom), (left, right) = pads
    return (top, left) if top == bottom and left == right else pads


class Conv2d(VolumeLayer):
    """Convolution of volumes: K filters that share their weights over all places.

    Parameters
    ----------
    in_channels, out_channels : int
        Depth of the input and number of filters.
    kernel_size : int or (int, int)
        Height and width of the filters.
    stride, padding, dilation, groups : optional
        As in `fastconv.functional.conv2d`: also "valid", "same" and "same_lower" padding, and
        ((top, bottom), (left, right)).
    bias : bool, optional
        Whether a bias is added to each filter's output.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, optional
        What the padding holds.
    activation : str, optional
        Applied to the output in the same pass: one of `fastconv.functional.ACTIVATIONS`, such as
        "relu", "silu" or "gelu".
    data_format : {"NCHW", "NHWC"}, optional
        Axes of input and output. The weight's are the same in both.
    strict : bool, optional
        Refuse input sizes where the size formula leaves a remainder (the lecture's "cannot").
    algorithm : str, optional
        As in `fastconv.functional.conv2d`; None for what `fastconv.set_algorithm` says. Left to
        itself a layer, which packs its weights once, takes Winograd's algorithm where it pays.
    tune : bool, optional
        Measure all algorithms on the first image of each shape, on one thread, and keep to the
        fastest, instead of estimating. Takes some milliseconds or more at the first call; the
        choice, and with it the last bits, may differ from one process to the next. Not together
        with `algorithm`.
    dtype : dtype, optional
        float32 or float64, of the parameters and thereby of inputs.
    rng : None, int or numpy.random.Generator, optional
        Source of the initial parameters, drawn uniformly from +-1/sqrt(fan_in) as in PyTorch.
        None draws new ones each time; an integer gives the same ones each time.

    Attributes
    ----------
    weight : ndarray
        Filters (out_channels, in_channels / groups, height, width), read-only. Assign another
        array to change them: it is checked and copied.
    bias : ndarray or None
        Biases (out_channels,), read-only.

    Raises
    ------
    ShapeError
        If an argument has a wrong value, naming it.
    TypeError
        If an argument has a wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv2d(3, 10, kernel_size=3, padding=1)
    >>> layer(np.zeros((100, 3, 32, 32), np.float32)).shape
    (100, 10, 32, 32)
    >>> layer.num_parameters
    280
    >>> nn.Conv2d(3, 5, kernel_size=5, stride=2, strict=True).output_shape((3, 32, 32))
    Traceback (most recent call last):
    ...
    fastconv.errors.ShapeError: Conv2d(...): ... (32 - 5)/2 + 1 = 14.5 is not a whole number; ...
    """

    weight = Parameter[Array](packed=True)
    bias = Parameter[Array | None]()

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Padding = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        data_format: str = "NCHW",
        strict: bool = False,
        algorithm: str | None = None,
        tune: bool = False,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._set_volume_options(data_format, strict)
        self.in_channels = integer(in_channels, "in_channels", 1)
        self.out_channels = integer(out_channels, "out_channels", 1)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.dilation = pair(dilation, "dilation", 1)
        self.padding = _read_padding(padding, self.kernel_size, self.stride, self.dilation)
        self.groups = integer(groups, "groups", 1)
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count % self.groups:
                raise ShapeError(
                    f"{name} must be divisible by groups, got {name}={count} and groups={groups}"
                )
        self.padding_mode = check_choice(padding_mode, "padding_mode", tuple(functional.PAD_MODES))
        self.activation = check_choice(activation, "activation", tuple(functional.ACTIVATIONS))
        self.algorithm = check_choice(algorithm, "algorithm", (None, *functional.ALGORITHMS))
        self.tune = check_flag(tune, "tune")
        if self.tune and algorithm is not None:
            raise ValueError(f"tune: expected False where algorithm is given, got {algorithm!r}")
        self._tuned: dict[tuple[Any, ...], str] = {}
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self._create_parameters(
            {"weight": shape, "bias": shape[:1] if check_flag(bias, "bias") else None},
            fan_in=math.prod(shape[1:]),
            dtype=dtype,
            rng=rng,
        )

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Convolve: input (N, C, H, W) or (C, H, W) to output (N, K, P, Q) or (K, P, Q).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> layer = nn.Conv2d(2, 4, 3, rng=0)
        >>> output = np.empty((1, 4, 6, 6), np.float32)
        >>> layer.forward(np.ones((1, 2, 8, 8), np.float32), out=output) is output
        True
        """
        return self._run(input, self.activation, out, num_threads)

    def _run(
        self,
        input: Array,
        activation: str | None,
        out: Array | None = None,
        num_threads: int | None = None,
    ) -> Array:
        algorithm = self._fastest(input, activation) if self.tune else self.algorithm
        packed = self._parameters["weight"].packed
        return self._convolve(input, activation, out, num_threads, algorithm, packed)

    def _convolve(
        self,
        input: Array,
        activation: str | None,
        out: Array | None,
        num_threads: int | None,
        algorithm: str | None,
        packed: functional.PackedWeights | None,
    ) -> Array:
        return functional.conv2d(
            input,
            self._parameters["weight"].value,
            self._parameters["bias"].value,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            data_format=self.data_format,
            activation=activation,
            out=out,
            padding_mode=self.padding_mode,
            strict=self.strict,
            algorithm=algorithm,
            num_threads=num_threads,
            packed=packed,
        )

    def _fastest(self, input: Array, activation: str | None) -> str | None:
        """Return the algorithm that is fastest for one image of the input."""
        image = input[0] if getattr(input, "ndim", 0) == 4 and len(input) else input
        if 0 in getattr(image, "shape", (0,)):
            return None
        key = image.shape, image.strides, _native.isa_active()
        if key not in self._tuned:
            packed = functional.PackedWeights()  # let go with the algorithms that are not taken
            self._tuned[key] = fastest(
                lambda name: self._convolve(image, activation, None, 1, name, packed)
            )
        return self._tuned[key]

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        batch, _, size = self._split(shape, self.in_channels)
        window = self.kernel_size, self.stride
        pads = padding_pairs(self.padding, size, *window, self.dilation)
        places = output_hw(size, *window, pads, self.dilation, strict=self.strict)
        return self._join(batch, self.out_channels, places)

    def _multiply_adds(self, shape: tuple[int, ...]) -> int:
        per_output = math.prod(self.kernel_size) * self.in_channels // self.groups
        return math.prod(self._output_shape(shape)) * per_output

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        return field and field.through(self.kernel_size, self.stride, self.dilation)

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them: those that differ from the default.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Conv2d(3, 8, 3, padding="same", bias=False, activation="relu")
        Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=same, bias=False, activation='relu')
        """
        text = f"{self.in_channels}, {self.out_channels}"
        text += f", kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        text += f", activation={self.activation!r}" if self.activation else ""
        text += f", algorithm={self.algorithm!r}" if self.algorithm else ""
        text += ", tune=True" if self.tune else ""
        return text + self._volume_repr()


class LocallyConnected2d(VolumeLayer):
    """Unshared convolution: every place of the output has filters of its own.

    For inputs where different things are found at different places, such as centred faces. As
    each place has its own weights, the input size is fixed.

    Parameters
    ----------
    in_channels, out_channels : int
        Depth of the input and number of filters at each place.
    kernel_size : int or (int, int)
        Height and width of the filters.
    input_size : int or (int, int)
        Height and width of the input.
    stride, padding : optional
        As in `Conv2d`.
    bias : bool, optional
        Whether a bias is added to each output.
    strict : bool, optional
        Refuse sizes where the size formula leaves a remainder.
    dtype, rng : optional
        As in `Conv2d`.

    Attributes
    ----------
    weight : ndarray
        Filters (out_channels, P, Q, in_channels * height * width) for an output of P x Q places,
        read-only; assign to change.
    bias : ndarray or None
        Biases (out_channels, P, Q), read-only.
    output_size : (int, int)
        (P, Q).

    Examples
    --------
    The lecture's count: 32x32x3, 30 filters of 5x5, not shared.

    >>> from fastconv import nn
    >>> layer = nn.LocallyConnected2d(3, 30, 5, input_size=32, padding=2, bias=False)
    >>> layer.output_shape((3, 32, 32)), layer.num_parameters
    ((30, 32, 32), 2304000)
    """

    weight = Parameter[Array]()
    bias = Parameter[Array | None]()

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        input_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Padding = 0,
        bias: bool = True,
        *,
        strict: bool = False,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._set_volume_options("NCHW", strict)
        self.in_channels = integer(in_channels, "in_channels", 1)
        self.out_channels = integer(out_channels, "out_channels", 1)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.input_size = pair(input_size, "input_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = _read_padding(padding, self.kernel_size, self.stride, (1, 1))
        window = self.kernel_size, self.stride
        pads = padding_pairs(self.padding, self.input_size, *window, (1, 1))
        self.output_size = output_hw(self.input_size, *window, pads, strict=self.strict)
        fan_in = self.in_channels * math.prod(self.kernel_size)
        places = (self.out_channels, *self.output_size)
        self._create_parameters(
            {"weight": (*places, fan_in), "bias": places if check_flag(bias, "bias") else None},
            fan_in=fan_in,
            dtype=dtype,
            rng=rng,
        )

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Apply each place's filters: input (N, C, H, W) or (C, H, W).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> layer = nn.LocallyConnected2d(2, 4, 3, input_size=8)
        >>> layer.forward(np.ones((1, 2, 8, 8), np.float32)).shape
        (1, 4, 6, 6)
        """
        if isinstance(input, np.ndarray):  # another size may give the same number of places
            self._output_shape(input.shape)
        return functional.locally_connected2d(
            input,
            self.weight,
            self.bias,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            out=out,
            num_threads=num_threads,
        )

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        batch, _, size = self._split(shape, self.in_channels)
        if size != self.input_size:
            raise ShapeError(
                f"expected an input of height and width {self.input_size}, got {size} in an input "
                f"of shape {shape}"
            )
        return self._join(batch, self.out_channels, self.output_size)

    def _multiply_adds(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape[:-3]) * self.weight.size

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        return field and field.through(self.kernel_size, self.stride)

    def extra_repr(self) -> str:
        """Arguments, in the manner of `Conv2d`.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.LocallyConnected2d(1, 2, 3, input_size=8)
        LocallyConnected2d(1, 2, kernel_size=(3, 3), input_size=(8, 8), stride=(1, 1))
        """
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", input_size={self.input_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += ", bias=False" if self.bias is None else ""
        return text + self._volume_repr()
