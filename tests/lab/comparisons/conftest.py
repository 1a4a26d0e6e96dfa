import sys
import textwrap

import pytest

from keras_mtl.lab.comparisons import running
from tests.lab.comparisons.pretend import WORKER


@pytest.fixture
def worker(monkeypatch, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    monkeypatch.setattr(running, "WORKER", (sys.executable, str(script)))
    return script
