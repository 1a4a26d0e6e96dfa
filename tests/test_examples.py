"""Every example runs, in a process of its own, without a warning of ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
HEADER = ("Title", "Author", "Date created", "Last modified", "Description")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    ran = subprocess.run(
        [sys.executable, str(path), "--smoke"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not re.findall(r"^\S*keras_mtl.*Warning.*", ran.stderr, re.M)
    assert "warn" not in ran.stderr.replace("WARNING: All log messages", "")
    assert ran.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_header(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [line.partition(": ")[0] for line in lines[1:7]]
    assert names == [*HEADER, "Accelerator"]
    assert re.fullmatch(r"Date created: \d{4}/\d{2}/\d{2}", lines[3])


def test_there_are_examples():
    assert len(EXAMPLES) >= 4
