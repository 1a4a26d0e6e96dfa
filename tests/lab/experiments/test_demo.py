import io
import json

import keras
import pytest
from rich.console import Console

from keras_mtl import weighters
from keras_mtl.lab.experiments.classification import accuracies
from keras_mtl.lab.experiments.demo import WEIGHTERS, run_demo
from keras_mtl.lab.experiments.digits import CLASSES, DigitsExperiment

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def test_demo_compares_draws_exports_and_serves(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    results = run_demo(tmp_path, console, epochs=1, num_train=200)
    assert results == json.loads((tmp_path / "results.json").read_text())
    compared = results["weighters"]
    assert tuple(compared) == WEIGHTERS
    scores = {n: r["validation_accuracy"] for n, r in compared.items()}
    assert scores[results["best"]] == max(scores.values())
    text = console.file.getvalue()
    for word in (*WEIGHTERS, *CLASSES, "Validation accuracy", "served / true"):
        assert word in text
    assert text.count("test accuracy") == 1
    png = (tmp_path / "training.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert (tmp_path / "digits" / "saved_model.pb").exists()
    # The test accuracy is that of the model that was saved.
    model = keras.saving.load_model(tmp_path / "digits.keras")
    assert type(model.weighter) is type(weighters.get(results["best"]))
    test = DigitsExperiment(num_train=200).load().test
    tested = accuracies(model, test, "test")
    assert tested["test_accuracy"] == pytest.approx(results["test_accuracy"])


def test_output_folder_must_be_writable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError) as error:
        run_demo(tmp_path / "file" / "demo", Console())
    assert str(error.value) == (
        f"The output folder '{tmp_path}/file/demo' is not writable: Not a "
        "directory. Pass another --out."
    )
