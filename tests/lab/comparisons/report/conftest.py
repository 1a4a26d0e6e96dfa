import pytest

from keras_mtl.lab.comparisons.report import page


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Pictures are drawn, and rendered where a test looks at them."""
    if "rendered" not in request.fixturenames:
        monkeypatch.setattr(page, "_png", lambda figure: b"")


@pytest.fixture
def rendered():
    """Asks for real pictures."""
