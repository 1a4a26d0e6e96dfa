"""Encoders and heads that say something about every pixel."""

import math

import keras

from keras_mtl.architectures import MTAN, CrossStitch
from keras_mtl.lab.experiments.dense.efficientnet_lite import efficientnet_lite0

ARCHITECTURES = ("shared_bottom", "mtan", "cross_stitch")
BACKBONES = ("small", "lite0", "resnet50")
# From a stride of 2 to one of 32.
SMALL_WIDTHS = (16, 32, 48, 64, 96)
# Of the decoder, from a stride of 16 to one of 2.
DECODER_WIDTHS = {"small": (32, 32, 32, 32), "lite0": (96, 64, 48, 48)}
STITCHED_WIDTHS = (24, 48, 64, 64)
# What Keras' weights of ResNet-50 were trained with: blue, green and red.
CAFFE_MEAN = (103.939, 116.779, 123.68)


def dense_encoder(architecture, backbone, tasks, shape, stride, **options):
    """Returns an encoder to a feature map, or to one for each task.

    Args:
        architecture: String, one of `ARCHITECTURES`. `mtan` has attention on
            what the backbone gives, and on two convolutions more;
            `cross_stitch` four blocks of its own, a tower for each task.
        backbone: String, one of `BACKBONES`. `small` and `lite0` have a
            decoder with skip connections; `resnet50` keeps a stride of 4 by
            dilated convolutions, as SLAW's does.
        tasks: List of strings.
        shape: `(height, width, 3)` of uint8 pictures.
        stride: Integer, 2 or 4: pictures are that much larger than features.
        **options: `weights` and `freeze`, as for `backbone_features`.
    """
    if architecture == "cross_stitch":
        return CrossStitch(tasks, _stitched_blocks(shape))
    trunk = backbone_model(backbone, shape, stride, **options)
    if architecture == "shared_bottom":
        return trunk
    width = trunk.output_shape[-1]
    features = trunk.output_shape[1:]
    pairs = [[_block(features, width) for _ in range(2)] for _ in range(2)]
    pairs[0][0] = trunk
    return MTAN(tasks, pairs, [_block(features, width)])


def backbone_model(name, shape, stride, weights=None, freeze=False):
    """Returns the model from pictures to one feature map.

    Args:
        name: String, one of `BACKBONES`.
        shape: `(height, width, 3)`.
        stride: Integer, 2 or 4.
        weights: Path, those of the backbone; for `resnet50` also
            `"imagenet"`, which Keras downloads.
        freeze: Boolean, whether the backbone stays as it is, its batch-norms
            too, and only the decoder learns.
    """
    inputs = keras.Input(shape, dtype="uint8", name="picture")
    if name == "resnet50":
        trunk = dilated_resnet50(shape, weights)
        trunk.trainable = not freeze
        return keras.Model(inputs, trunk(inputs), name="encoder")
    make = {"small": _small, "lite0": efficientnet_lite0}[name]
    trunk = make(shape, weights)
    trunk.trainable = not freeze
    features = trunk(inputs)
    x = features[-1]
    halvings = 4 - int(math.log2(stride)) + 1
    places = range(3, 3 - halvings, -1)
    for place, width in zip(places, DECODER_WIDTHS[name], strict=False):
        skip = features[place]
        x = _enlarged(x, 2, skip.shape[1:3])
        x = keras.layers.Concatenate()([x, skip])
        for part in "ab":
            x = _conv(x, width, name=f"decoder_{2 ** (place + 1)}{part}")
    return keras.Model(inputs, x, name="encoder")


def dilated_resnet50(shape, weights=None):
    """Returns ResNet-50 without its top, of an output stride of 4.

    Where the network would halve the picture for the third time and later, the
    convolutions are dilated instead: the weights are the same.
    """
    plain = keras.applications.ResNet50(
        include_top=False, weights=weights, input_shape=shape
    )

    def dilated(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            stage = int(layer.name[4]) if layer.name[4].isdigit() else 0
            if stage >= 3:
                config["strides"] = (1, 1)
                if config["kernel_size"] == (3, 3):
                    config["dilation_rate"] = (2 ** (stage - 2),) * 2
        return layer.__class__.from_config(config)

    clone = keras.models.clone_model(plain, clone_function=dilated)
    clone.set_weights(plain.get_weights())
    inputs = keras.Input(shape, dtype="uint8", name="picture")
    x = keras.layers.Rescaling(1.0)(inputs)[..., ::-1]
    x = keras.layers.Normalization(
        mean=list(CAFFE_MEAN), variance=[1.0, 1.0, 1.0]
    )(x)
    return keras.Model(inputs, clone(x), name="resnet50")


def dense_head(task, channels, size, stride, width, convolutions, last):
    """Returns a head: convolutions, and features as large as the picture.

    Args:
        task: String, the head's name.
        channels: Integer, of the output.
        size: `(height, width)` of the picture.
        stride: Integer, how much larger it is than the features.
        width: Integer, channels of the convolutions.
        convolutions: Integer, how many 3 x 3 convolutions come first.
        last: List of layers after the enlargement.
    """
    layers = [
        layer
        for number in range(convolutions)
        for layer in _conv_layers(width, name=f"{task}_{number}")
    ]
    layers.append(
        keras.layers.Conv2D(
            channels, 1, kernel_initializer=_orthogonal(), name=f"{task}_last"
        )
    )
    layers.append(keras.layers.UpSampling2D(stride, interpolation="bilinear"))
    surplus = [-(-side // stride) * stride - side for side in size]
    if any(surplus):
        layers.append(keras.layers.Cropping2D([(0, n) for n in surplus]))
    return keras.Sequential([*layers, *last], name=task)


def _small(shape, weights=None):
    """Returns five stages that halve the picture, from scratch."""
    del weights
    inputs = keras.Input(shape, name="picture")
    x = keras.layers.Rescaling(1.0 / 127.5, -1.0)(inputs)
    features = []
    for number, width in enumerate(SMALL_WIDTHS):
        x = _residual(_conv(x, width, 2, f"down_{number}"), f"more_{number}")
        features.append(x)
    return keras.Model(inputs, features, name="small")


def _stitched_blocks(shape):
    """Returns the blocks of a tower, four times smaller from the second on."""
    blocks = []
    for number, (width, step) in enumerate(
        zip(STITCHED_WIDTHS, (2, 2, 1, 1), strict=True)
    ):
        inputs = x = keras.Input(shape, dtype=None if blocks else "uint8")
        if not blocks:
            x = keras.layers.Rescaling(1.0 / 127.5, -1.0)(x)
        x = _residual(_conv(x, width, step, f"in_{number}"), f"more_{number}")
        blocks.append(keras.Model(inputs, x, name=f"stage_{number}"))
        shape = x.shape[1:]
    return blocks


def _block(shape, width):
    inputs = keras.Input(shape)
    return keras.Model(inputs, _conv(inputs, width))


def _residual(x, name):
    return keras.layers.Add()([x, _conv(x, x.shape[-1], name=name)])


def _conv(x, width, step=1, name=None):
    for layer in _conv_layers(width, step, name):
        x = layer(x)
    return x


def _conv_layers(width, step=1, name=None):
    yield keras.layers.Conv2D(
        width,
        3,
        step,
        padding="same",
        use_bias=False,
        kernel_initializer=_orthogonal(),
        name=name,
    )
    yield keras.layers.BatchNormalization(name=name and f"{name}_norm")
    yield keras.layers.ReLU(name=name and f"{name}_relu")


def _enlarged(x, factor, size):
    """Returns a feature map enlarged, and cut to a size."""
    x = keras.layers.UpSampling2D(factor, interpolation="bilinear")(x)
    surplus = [
        have - want for have, want in zip(x.shape[1:3], size, strict=True)
    ]
    if any(surplus):
        x = keras.layers.Cropping2D([(0, n) for n in surplus])(x)
    return x


def _orthogonal():
    # The gain of SLAW's code, for ReLU.
    return keras.initializers.Orthogonal(gain=math.sqrt(2.0))
