"""Runs the notebooks and stores their outputs: `python docs/run_notebooks.py`.

Progress bars and log lines are left out. The slow tests run the notebooks too,
without storing anything.
"""

import os
import pathlib
import tempfile

import nbclient
import nbformat

_HERE = pathlib.Path(__file__).resolve().parent
NOTEBOOKS = sorted((_HERE / "notebooks").glob("*.ipynb"))


def run(
    path: pathlib.Path, folder: str | os.PathLike[str]
) -> nbformat.NotebookNode:
    """Runs a notebook from top to bottom.

    Args:
        path: Of the notebook; the file is left alone.
        folder: In which its code runs.

    Returns:
        The notebook with the outputs of this run.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    for cell in notebook.cells:
        # Times of execution.
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                one for one in cell.outputs if one.get("name") != "stderr"
            ]
    return notebook


def main() -> None:
    """Runs all notebooks and stores their outputs."""
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run(path, folder), path)


if __name__ == "__main__":
    main()
