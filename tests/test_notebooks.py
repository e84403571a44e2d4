"""The notebooks of the documentation run from top to bottom."""

import runpy

import nbformat
import pytest

from source_tree import REPO

# The program that stores their outputs.
RUNNER = runpy.run_path(str(REPO / "docs" / "run_notebooks.py"))

EVERY = pytest.mark.parametrize(
    "path", RUNNER["NOTEBOOKS"], ids=lambda path: path.stem
)


def texts(notebook):
    """Everything that the cells print."""
    return "".join(
        one.get("text", "")
        for cell in notebook.cells
        for one in cell.get("outputs", ())
    )


@EVERY
def test_a_notebook_runs_and_ends_in_a_network(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    said = texts(RUNNER["run"](path, tmp_path))
    assert "test accuracy 0." in said
    (exported,) = tmp_path.rglob("model.tflite")
    assert exported.stat().st_size > 1000


@EVERY
def test_its_outputs_are_stored(path):
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    assert "test accuracy 0." in texts(stored)
    assert any(
        "image/png" in one.get("data", {})
        for cell in stored.cells
        for one in cell.get("outputs", ())
    )
