"""Figure 2 of SLAW, from made-up runs and times."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_mtl.lab.cli import app
from keras_mtl.lab.comparisons import slaw_tasks
from keras_mtl.lab.comparisons.report.reading import read_comparison
from keras_mtl.lab.comparisons.report.statistics import t_interval
from keras_mtl.reporting import style
from tests.lab.comparisons.report.synthetic import cell, write, write_comparison

SECONDS = {"uniform": (0.1, 0.2), "slaw": (0.1, 0.3)}


@pytest.fixture
def times(tmp_path):
    results = [
        {
            "num_tasks": tasks,
            "rows": [
                {"name": name, "step_seconds": by[place]}
                for name, by in SECONDS.items()
            ],
        }
        for place, tasks in enumerate((32, 64))
    ]
    write(tmp_path, "times.json", {"results": results})
    return tmp_path / "times.json"


@pytest.fixture
def comparison(tmp_path):
    folder = tmp_path / "compared"
    plain = {name: {"num_tasks": 64.0} for name in SECONDS}
    write_comparison(folder, tuple(SECONDS), ("a", "b"), plain_values=plain)
    for name in SECONDS:
        for seed in range(3):
            content = cell(name, seed, ("a",), {"num_tasks": 32.0})
            write(
                folder, f"cells/{name}@num_tasks=32/seed_{seed}.json", content
            )
    return folder


def test_both_panels(tmp_path, times, comparison, monkeypatch):
    drawn, made = [], style.panels
    monkeypatch.setattr(
        style, "panels", lambda *a, **k: drawn.append(made(*a, **k)) or drawn[0]
    )
    words = ["figure", "slaw-tasks", "--out", str(tmp_path / "out")]
    words += ["--times", str(times), "--comparison", str(comparison)]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "out/slaw_tasks.png").read_bytes()[:4] == b"\x89PNG"
    ((_, (left, right)),) = drawn
    lines = {line.get_label(): line for line in left.lines}
    for name, by in SECONDS.items():
        np.testing.assert_allclose(lines[name].get_xdata(), (32, 64))
        np.testing.assert_allclose(lines[name].get_ydata(), by)
    read = read_comparison(comparison)
    for bars, name in zip(right.containers, SECONDS, strict=True):
        assert bars.get_label() == name
        swept = [
            100 * c.average for c in read.cells if c.method == name and c.sweep
        ]
        expected = [
            t_interval(of) for of in (swept, read.scores(name).values())
        ]
        heights = np.array(bars.lines[0].get_ydata(), "float64")
        np.testing.assert_allclose(heights, [e.mean for e in expected])
        spans = [np.ptp(s[:, 1]) / 2 for s in bars.lines[2][0].get_segments()]
        np.testing.assert_allclose(spans, [e.half_width for e in expected])


def test_what_it_cannot_draw(tmp_path, times):
    with pytest.raises(ValueError, match="needs --times, --comparison, or"):
        slaw_tasks.draw(tmp_path / "a.png")
    times.write_text(json.dumps({"results": [{"rows": [{}]}]}))
    with pytest.raises(ValueError, match=r"not what .* writes: KeyError"):
        slaw_tasks.draw(tmp_path / "a.png", times=times)
    write_comparison(tmp_path, ("uniform",), ("a",), seeds=1)
    with pytest.raises(ValueError, match="no runs with different numbers"):
        slaw_tasks.draw(tmp_path / "a.png", comparison=tmp_path)
