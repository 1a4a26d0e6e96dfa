import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.lab.datasets import nyuv2_copies
from keras_mtl.lab.datasets.depth_normals import Camera, derive_normals
from keras_mtl.lab.datasets.nyuv2 import CLASSES, load_nyuv2

CAMERA = Camera(fx=104.0, fy=104.0, cx=20.0, cy=14.0)
SHAPE = 28, 40


def plane(normal, distance):
    """Depth of the plane `n · P = -distance`, and the normal, closed form."""
    normal = np.array(normal, float) / np.linalg.norm(normal)
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rays = np.stack(
        [
            (u - CAMERA.cx) / CAMERA.fx,
            (v - CAMERA.cy) / CAMERA.fy,
            np.ones(SHAPE),
        ],
        axis=-1,
    )
    return -distance / (rays @ normal), normal


def angles(found, normal):
    return np.degrees(np.arccos(np.clip(found @ normal, -1.0, 1.0)))


@pytest.mark.parametrize(
    "normal", [(0, 0, -1), (0.6, 0.1, -1), (-0.3, -1, -0.5), (1, -1, -1)]
)
def test_planes_have_their_normal_everywhere(normal):
    depth, exact = plane(normal, 2.0)
    found, valid = derive_normals(depth, CAMERA)
    # 41 pixels of a window of 81 are inside from the rim's middle on.
    assert valid[4:-4, 4:-4].all()
    # Steep planes leave some windows by the limits on depth.
    assert angles(found[valid], exact).max() < 0.1
    np.testing.assert_allclose(np.linalg.norm(found[valid], axis=-1), 1, 1e-5)
    assert (found[~valid] == 0.0).all()
    assert valid.mean() > 0.8


def test_an_edge_is_not_smoothed_and_rounding_hurts_little():
    wall, left = plane((0.5, 0.0, -1), 3.0)
    front, right = plane((-0.5, 0.0, -1), 1.5)
    first = np.arange(SHAPE[1]) < 20
    depth = np.where(first, wall, front)
    step = 1.0 / 25.5
    rounded = np.rint(depth / step) * step
    # Without edges kept apart, a window of 9 columns of 40 would be wrong.
    for z, rounding, share, bound in (
        (depth, 0.0, 0.95, 0.1),
        (rounded, step, 0.5, 4.0),
    ):
        found, valid = derive_normals(z, CAMERA, rounding)
        exact = np.where(first[:, None], left, right)
        off = angles(np.sum(found * exact, axis=-1)[..., None], [1.0])
        assert np.quantile(off[valid], share) < bound
        assert valid[:, 15:25].any()


def test_depth_must_be_there():
    with pytest.raises(ValueError, match="must be above 0 everywhere"):
        derive_normals(np.zeros(SHAPE), CAMERA)


def test_camera_of_half_a_picture():
    """The pixel in the middle stays there: (cx + 0.5) / 2 - 0.5."""
    half = Camera(500.0, 520.0, 319.5, 239.5).scaled(0.5, 0.25)
    assert half == Camera(250.0, 130.0, 159.5, 59.5)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    arrays = {
        "rgb": rng.integers(0, 256, (5, 12, 16, 3), "uint8"),
        "depth": rng.integers(50, 52, (5, 12, 16), "uint8"),
        "label13": rng.integers(0, 14, (5, 12, 16), "uint8"),
        "train_idx": np.array([0, 2, 4]),
        "test_idx": np.array([1, 3]),
    }
    path = tmp_path / "nyuv2.npz"
    np.savez(path, **arrays)
    return path, arrays


def test_npz(copy, monkeypatch, capsys):
    path, arrays = copy
    data = load_nyuv2(path)
    assert data.derived
    assert "Deriving the normals of 5 pictures" in capsys.readouterr().err
    rim = np.ones((12, 16), bool)
    rim[2:-2, 2:-2] = False
    for (x, y, present), rows in (
        (data.train, arrays["train_idx"]),
        (data.test, arrays["test_idx"]),
    ):
        np.testing.assert_array_equal(x, arrays["rgb"][rows])
        classes = arrays["label13"][rows].astype(int) - 1
        there = present["segmentation"]
        np.testing.assert_array_equal(there, classes >= 0)
        np.testing.assert_array_equal(y["segmentation"][there], classes[there])
        metres = arrays["depth"][rows] / np.float32(25.5)
        metres[:, rim] = 0.0
        np.testing.assert_allclose(y["depth"][..., 0], metres, 1e-6)
        np.testing.assert_array_equal(present["depth"], metres > 0)
        seen = present["normals"]
        assert not seen[:, rim].any()
        assert not seen[classes == CLASSES.index("ceiling")].any()
        lengths = np.linalg.norm(y["normals"], axis=-1)
        np.testing.assert_allclose(lengths, seen, atol=1e-6)
        assert seen.mean() > 0.2
    (kept,) = path.parent.rglob("derived_normals_*.npy")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:200])
    load_nyuv2(path)
    assert kept.read_bytes() == whole
    monkeypatch.delattr(nyuv2_copies, "derive_normals")
    again = load_nyuv2(path)
    np.testing.assert_array_equal(
        again.test[1]["normals"], data.test[1]["normals"]
    )


def test_folder_of_arrays(tmp_path):
    """MTAN's conventions: -1 is void, depth 0 and normal 0 are missing."""
    rng = np.random.default_rng(1)
    wrote = {}
    for name, count in (("train", 11), ("val", 2)):
        wrote[name] = {
            "image": rng.random((count, 4, 6, 3)),
            "label": rng.integers(-1, 13, (count, 4, 6)).astype(float),
            "depth": rng.integers(0, 3, (count, 4, 6, 1)) * 1.5,
            "normal": np.eye(3)[rng.integers(0, 3, (count, 4, 6))],
        }
        wrote[name]["normal"][:, 0] = 0.0
        for part, values in wrote[name].items():
            (tmp_path / name / part).mkdir(parents=True)
            for number, value in enumerate(values):
                np.save(tmp_path / name / part / f"{number}.npy", value)
    data = load_nyuv2(tmp_path)
    assert not data.derived
    for (x, y, present), name in ((data.train, "train"), (data.test, "val")):
        given = wrote[name]
        np.testing.assert_allclose(x / 255.0, given["image"], atol=0.51 / 255)
        np.testing.assert_array_equal(
            np.where(present["segmentation"], y["segmentation"], -1),
            given["label"],
        )
        np.testing.assert_array_equal(y["depth"], given["depth"])
        np.testing.assert_array_equal(present["depth"], y["depth"][..., 0] > 0)
        np.testing.assert_array_equal(y["normals"], given["normal"])
        assert not present["normals"][:, 0].any()
        assert present["normals"][:, 1:].all()
    (tmp_path / "val" / "depth" / "1.npy").unlink()
    with pytest.raises(ValueError, match=r"not whole: '.*1\.npy' is missing"):
        load_nyuv2(tmp_path)
    (tmp_path / "val" / "depth" / "1.npy").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"depth/1\.npy' is damaged"):
        load_nyuv2(tmp_path)
    np.save(tmp_path / "val" / "depth" / "1.npy", np.ones((3, 6, 1)))
    with pytest.raises(ValueError, match="differ in shape"):
        load_nyuv2(tmp_path)
    (tmp_path / "val" / "image" / "x.npy").touch()
    with pytest.raises(ValueError, match=r"0\.npy, 1\.npy.*x\.npy"):
        load_nyuv2(tmp_path)


def test_folder_of_pictures(tmp_path):
    """SLAW's: class + 1, depth in 1e-4 m, and colours (1 - n) / 2, reversed."""
    square = np.ones((8, 8, 1))
    normal = np.array([0.6, 0.0, -0.8])
    colour = np.rint(255.0 * (1.0 - normal[::-1]) / 2.0)
    pictures = {
        "rgb": (square * [10, 20, 30]).astype("uint8"),
        "seg13": (square * 5).astype("uint8"),
        "depth": (square * 25_000).astype("uint16"),
        "sn": (square * colour).astype("uint8"),
    }
    for name in ("train", "test"):
        for part, picture in pictures.items():
            (tmp_path / f"{name}_{part}").mkdir()
            path = tmp_path / f"{name}_{part}" / "0001.png"
            path.write_bytes(tf.io.encode_png(picture).numpy())
    x, y, present = load_nyuv2(tmp_path, size=(2, 4)).test
    np.testing.assert_array_equal(x[0, 1, 3], [10, 20, 30])
    assert x.shape == (1, 2, 4, 3)
    assert (y["segmentation"] == 4).all()
    np.testing.assert_allclose(y["depth"], 2.5, 1e-6)
    np.testing.assert_allclose(y["normals"][0, 0, 0], normal, atol=1 / 127)
    assert all(part.all() for part in present.values())
    (tmp_path / "test_sn" / "0001.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"sn/0001\.png' is damaged"):
        load_nyuv2(tmp_path)


def test_no_copy(tmp_path, copy):
    path, arrays = copy
    with pytest.raises(ValueError, match="is no copy of NYUv2"):
        load_nyuv2(tmp_path)
    with pytest.raises(ValueError, match="Leave it out"):
        load_nyuv2(path, size=(2, 2))
    np.savez(path, rgb=arrays["rgb"])
    with pytest.raises(ValueError, match=r"has no .*'label13'"):
        load_nyuv2(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:200], whole[:-40]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"nyuv2\.npz' is damaged"):
            load_nyuv2(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"depth": np.full((5, 3, 16), 50)}, "do not go together"),
        ({"rgb": np.zeros((5, 12, 16), "uint8")}, "do not go together"),
        ({"test_idx": np.array([1, 5])}, "of some of its 5 pictures"),
        ({"test_idx": np.array([1, -1])}, "of some of its 5 pictures"),
        ({"train_idx": np.array([], int)}, "of some of its 5 pictures"),
        ({"test_idx": np.array([1, 2])}, r"to train and to test on: \[2\]"),
        ({"label13": np.full((5, 12, 16), 14)}, "from 14 to 14"),
        ({"rgb": np.array([{}], object)}, "not hold arrays of numbers"),
    ],
)
def test_copies_that_do_not_fit(copy, changed, message):
    path, arrays = copy
    np.savez(path, **{**arrays, **changed})
    with pytest.raises(ValueError, match=message):
        load_nyuv2(path)
