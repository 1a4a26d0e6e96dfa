"""What a user installs: everything that the package needs, and no more."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import keras_mtl

ROOT = Path(__file__).parent.parent


def test_wheel_and_sdist_have_every_file_and_no_more(tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    subprocess.run(
        [*build, str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name for name in archive.namelist() if ".dist-info/" not in name
        }
        metadata = next(n for n in archive.namelist() if n.endswith("METADATA"))
        text = archive.read(metadata).decode()
    tracked = subprocess.run(
        ["git", "ls-files", "keras_mtl", "keras_mtl_command.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert found == set(tracked)
    assert f"Version: {keras_mtl.__version__}\n" in text
    assert "License-Expression: Apache-2.0" in text
    assert "Provides-Extra: report" in text
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked, "LICENSE", "README.md", "pyproject.toml"} <= names
