from __future__ import annotations

import sys
from pathlib import Path

import pytest

from inference_core.cli import build_app, run_app
from inference_core.commands.export import comparison_table, gap_text, parse_batch
from inference_core.convert.parity import Comparison
from inference_core.convert.reference import Row
from inference_core.errors import ConfigError
from inference_core.models.package import load_package
from tests.drawn_images import draw_folder
from tests.exportable_nets import net_package


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``millrace models export``."""
    monkeypatch.setattr(sys, "argv", ["millrace", "models", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run_app(build_app())
    assert isinstance(ended.value.code, int)
    return (ended.value.code, *capsys.readouterr())


def test_the_table_and_where_it_went(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, images = net_package(tmp_path / "source", "plain"), draw_folder(tmp_path / "images", 3)
    out = tmp_path / "new"
    code, output, errors = run(
        monkeypatch, capsys, source, "--format", "onnx", "--out", out, "--images", images, "--opset", 20
    )
    assert (code, errors) == (0, "")
    assert "net-plain: state_dict to onnx, on 3 images" in output
    lines = [line.split() for line in output.splitlines()]
    assert [line[:2] for line in lines if line[:1] in (["before"], ["after"])] == [
        ["before", "torch"],
        ["after", "onnxruntime"],
        ["after", "openvino"],
    ]
    assert "exporter: torch.export" in output
    assert f"digest {load_package(str(out)).digest}" in output


def test_a_package_that_answers_otherwise_is_refused_behind_its_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, images = net_package(tmp_path / "source", "drawing"), draw_folder(tmp_path / "images", 3)
    out = tmp_path / "new"
    code, output, errors = run(
        monkeypatch, capsys, source, "--format", "torch_export", "--out", out, "--images", images
    )
    assert code == 2
    assert "after" in output
    assert "wrote" not in output
    assert errors.startswith("error: the exported package must answer as the original does on 3 images, got torch: ")
    assert not out.exists()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_batch_is_a_number_or_dynamic(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--batch: must be dynamic or a whole number of at least 1"):
        parse_batch(text)
    assert parse_batch("dynamic") is None
    assert parse_batch("12") == 12


@pytest.mark.parametrize(("gap", "text"), [(0.0, "none"), (None, "not finite"), (1.23e-5, "1.2e-05")])
def test_gap_text(gap: float | None, text: str) -> None:
    assert gap_text(gap) == text


def test_an_engine_that_does_not_run_is_a_row() -> None:
    before = Row(engine="torch", num_bytes=1_500_000, images_per_s=12.345)
    after = Row(engine="openvino", num_bytes=1, refusal="[red]no such operator")
    table = comparison_table(Comparison(before=before, after=(after,), num_images=1, faults=()), title="net")
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert rows == [
        ("before", "torch", "", "", "", "12.3", "1.50"),
        ("after", "openvino", "does not run", "", "", "", "0.00"),
    ]
