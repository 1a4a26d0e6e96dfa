"""The notebooks run from top to bottom, and were saved without outputs."""

import os
import time
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.provisioning import local_provisioner

from tests import warm

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def forked_kernel(command, env, cwd, **_):
    """Starts a kernel in a process that has loaded TensorFlow."""
    words = command[command.index("-m") :]
    kernel = warm.Popen(
        [command[0], *words], env=env, cwd=cwd, start_new_session=True
    )
    # Jupyter sends its signals to the group of the process.
    while os.getpgid(kernel.pid) != kernel.pid:
        time.sleep(0.01)
    return kernel


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_MTL_SMOKE", "1")
    monkeypatch.setattr(local_provisioner, "launch_kernel", forked_kernel)
    notebook = nbformat.read(path, as_version=4)
    saved = [cell.source for cell in notebook.cells if cell.get("outputs")]
    assert not saved, "clear the outputs before saving"
    client = nbclient.NotebookClient(
        notebook, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert any(cell.get("outputs") for cell in notebook.cells)
