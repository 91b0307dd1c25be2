"""The example from a data frame to a stream, with all optional packages."""

import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
matplotlib = pytest.importorskip("matplotlib")

EXAMPLE = Path(__file__).parents[2] / "examples" / "plot_frame_to_stream.py"


def test_from_a_data_frame_to_a_stream(tmp_path, monkeypatch, capsys):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "loaded by another process: True" in printed
    assert "onnxruntime: the same labels True" in printed
    assert found["difference"] < 1e-5
    probabilities = found["model"].predict_proba(found["X_test"])
    np.testing.assert_allclose(found["last"], probabilities, rtol=0, atol=1e-12)
    assert found["correct"][-1] > 0.96
    assert (tmp_path / "frame_to_stream.png").stat().st_size > 10_000
