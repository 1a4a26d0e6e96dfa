"""The notebooks run from top to bottom, and were saved without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_MTL_SMOKE", "1")
    notebook = nbformat.read(path, as_version=4)
    saved = [cell.source for cell in notebook.cells if cell.get("outputs")]
    assert not saved, "clear the outputs before saving"
    client = nbclient.NotebookClient(
        notebook, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert any(cell.get("outputs") for cell in notebook.cells)
