"""`.keras` files of a multi-task model: the model, or a clear error."""

import collections
import io
import itertools
import json
import zipfile

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import warm
from tests.fuzz.limits import clear_end, examples
from tests.fuzz.mutations import JUNK, binaries, texts
from tests.training import build_model, compile_model, step

# What Keras raises on files: `zipfile` and `h5py` below it included.
KERAS = (
    *(ValueError, TypeError, KeyError, OSError, AttributeError, RuntimeError),
    zipfile.BadZipFile,
)
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The content of a file by the name of the part."""
    model = compile_model(build_model(dropout=0.3), "gradnorm")
    step(model, 0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def load(path):
    with clear_end(*KERAS):
        keras.saving.load_model(path)


def check_configs(parts, folder, data):
    name = data.draw(st.sampled_from([CONFIG] * 9 + [METADATA]))
    changed = data.draw(texts(json.loads(parts[name]), JUNK))
    path = folder / "model.keras"
    path.write_bytes(packed({**parts, name: changed}))
    load(path)


@examples(25)
@given(st.data())
def test_configs(parts, tmp_path_factory, data):
    check_configs(parts, tmp_path_factory.getbasetemp(), data)


@pytest.mark.soak
@examples(2_000)
@given(st.data())
def test_many_configs(parts, tmp_path_factory, data):
    check_configs(parts, tmp_path_factory.getbasetemp(), data)


def weights_and_files(parts, data):
    """Draws a file whose weights, or whose archive, are changed."""
    if data.draw(st.booleans()):
        changed = data.draw(binaries(parts[WEIGHTS]))
        return packed({**parts, WEIGHTS: changed})
    return data.draw(binaries(packed(parts)))


SCRIPT = """
import pathlib, sys, warnings, keras, keras_mtl
from tests.fuzz.test_keras_files import load
warnings.simplefilter("ignore")
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(path.name, end=" ", flush=True)
    load(path)
"""


def load_elsewhere(folder):
    """Loads all files in another process, which they might bring down."""
    done = warm.run("-c", SCRIPT, folder)
    assert not done.returncode, done.stdout[-99:] + done.stderr
    ends = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    print(collections.Counter(ends))


@pytest.mark.parametrize(
    "count",
    [20, pytest.param(2_000, marks=pytest.mark.soak)],
)
def test_weights_and_archives(parts, tmp_path, count):
    numbers = itertools.count()

    @examples(count)
    @given(st.data())
    def draw(data):
        path = tmp_path / f"{next(numbers):05d}.keras"
        path.write_bytes(weights_and_files(parts, data))

    draw()
    load_elsewhere(tmp_path)
