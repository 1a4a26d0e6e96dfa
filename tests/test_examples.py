"""Every example runs at its smallest size, without a warning of ours."""

import re
import runpy
import sys
from pathlib import Path

import keras
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
HEADER = ("Title", "Author", "Date created", "Last modified", "Description")


@pytest.mark.slow
@pytest.mark.usefixtures("_as_users_run")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs(path, tmp_path, monkeypatch, capfd):
    """In this process, where warnings are errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), "--smoke"])
    monkeypatch.setenv("MPLBACKEND", "Agg")
    policy = keras.config.dtype_policy()
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        keras.config.set_dtype_policy(policy)
    assert capfd.readouterr().out


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_header(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [line.partition(": ")[0] for line in lines[1:7]]
    assert names == [*HEADER, "Accelerator"]
    assert re.fullmatch(r"Date created: \d{4}/\d{2}/\d{2}", lines[3])
