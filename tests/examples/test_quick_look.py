from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from inference_core.models.package import load_package
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.jobs.local_run import finish_job
from tests.tiny_models import tiny_segmenter

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "quick_look.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client")
def test_it_runs_over_a_run(notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = load_package(str(tiny_segmenter(tmp_path / "package")))
    images = draw_folder(tmp_path / "images", 7, with_bad=True)
    flags = {"model": package.uri, "input": str(images), "output": str(tmp_path / "run")}
    finish_job(read_settings(None, flags=flags, assignments=[]), package)
    monkeypatch.setenv("QUICK_LOOK_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(
        output.get("text", "") or str(output.get("data", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    assert "decode_error" in shown
    assert "image/png" in shown
    assert "<caption>Segmentation</caption>" in shown
    assert "rows=10 x 2" in shown
    assert "jsonl 10 rows in" in shown
