import io
import json

import pytest
from rich.console import Console

from keras_mtl.experiments.demo import WEIGHTERS, run_demo

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def test_demo_compares_draws_exports_and_serves(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    results = run_demo(tmp_path, console, epochs=1, num_train=200)
    assert tuple(results) == WEIGHTERS
    assert results == json.loads((tmp_path / "results.json").read_text())
    text = console.file.getvalue()
    for word in (*WEIGHTERS, "Test accuracy (%)", "served / true", "even_sum"):
        assert word in text
    png = (tmp_path / "weights.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert (tmp_path / "digits" / "saved_model.pb").exists()
    assert (tmp_path / "digits.keras").exists()


def test_output_folder_must_be_writable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError) as error:
        run_demo(tmp_path / "file" / "demo", Console())
    assert str(error.value) == (
        f"The output folder '{tmp_path}/file/demo' is not writable: Not a "
        "directory. Pass another --out."
    )
