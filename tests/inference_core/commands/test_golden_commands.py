from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from inference_core import storage
from inference_core.cli import build_app, run_app
from inference_core.models.package import load_package
from tests.drawn_images import draw_folder
from tests.sealed_packages import edit_values, golden_folder, shift_outputs
from tests.tiny_models import tiny_classifier

Millrace = Callable[..., tuple[int, str, str]]


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Millrace:
    """Runs ``millrace models`` in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["millrace", "models", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_app(build_app())
        output, errors = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, output, errors

    return run


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tiny_classifier(tmp_path / "package")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images", 12)


def seal(millrace: Millrace, package: object, images: Path, *options: object) -> str:
    code, out, err = millrace("seal", package, "--images", images, *options)
    assert code == 0, err
    return out


def test_seal_says_what_it_wrote(millrace: Millrace, package: Path, images: Path) -> None:
    out = seal(millrace, package, images, "--count", 2)
    assert out.startswith(f"sealed file://{package}: 2 images, 0.0 MB with their values, for digest ")
    assert out.endswith("by onnxruntime fp32\n0000.png, 0007.png\n")


def test_seal_takes_files_and_folders(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images / "0000.png", "--images", images / "deep")
    assert len(list((package / "golden" / "images").iterdir())) == 3


def test_a_sealed_package_is_sealed_again_by_force(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images)
    code, _, err = millrace("seal", package, "--images", images)
    assert (code, "--force" in err) == (2, True)
    seal(millrace, package, images, "--force")


def test_verify_prints_a_row_for_each_engine_and_resampler(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images, "--count", 2)
    code, out, _ = millrace("verify", package, "--engine", "onnxruntime", "--device", "cpu")
    assert code == 0
    assert "2 golden images, sealed by onnxruntime fp32 on the CPU, for digest" in out
    rows = [re.split(r" {2,}", line.strip()) for line in out.splitlines() if line.startswith("onnxruntime ")]
    assert rows[0] == ["onnxruntime", "fp32", "pillow", "equal", "equal", "0 %", "0 %", "pass"]
    assert [row[2] for row in rows[1:]] == ["torch", "opencv"]
    assert {row[-1] for row in rows[1:]} == {"for information"}
    assert "\ntolerance: 0 % of prepared values; raw outputs 1e-05 + 0.0001 x the largest" in out


def test_verify_fails_where_the_contract_is_broken(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images, "--count", 2)
    shift_outputs(load_package(str(package)), by=1.0)
    code, out, _ = millrace("verify", package, "--engine", "onnxruntime")
    assert code == 1
    assert re.search(r"^onnxruntime .* FAIL +$", out, re.MULTILINE)
    assert "2 images, failed on onnxruntime fp32: 50.0 % of raw outputs are off, by up to 1; allowed is" in out


def test_verify_names_other_software(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images, "--count", 1)
    path = package / "golden" / "golden.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "versions": {**record["versions"], "pillow": "1.0"}}))
    _, out, _ = millrace("verify", package, "--engine", "onnxruntime")
    assert "\npillow: sealed with 1.0, here " in out


def test_an_engine_that_is_named_must_run(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images, "--count", 1)
    code, out, _ = millrace("verify", package, "--engine", "torch")
    assert code == 1
    assert "torch fp32: does not run: engine: must be" in out


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)], ids=["plain", "strict"])
def test_lower_precisions_fail_only_where_that_is_asked(
    millrace: Millrace, package: Path, images: Path, strict: tuple[str, ...], code: int
) -> None:
    seal(millrace, package, images, "--count", 1)
    path = package / "golden" / "golden.json"
    record = json.loads(path.read_text())
    # So that fp32 is another precision than the sealed one.
    path.write_text(json.dumps({**record, "precision": "fp16"}))
    edit_values(load_package(str(package)), lambda arrays: arrays.update({"00.decision": 1 - arrays["00.decision"]}))
    found, out, _ = millrace("verify", package, "--engine", "onnxruntime", *strict)
    assert found == code
    assert re.search(r"^onnxruntime .* FAIL +$", out, re.MULTILINE)


def test_json_holds_every_figure(millrace: Millrace, package: Path, images: Path) -> None:
    seal(millrace, package, images, "--count", 1)
    code, out, _ = millrace("verify", package, "--engine", "onnxruntime", "--json")
    data = json.loads(out)
    assert (code, data["passed"], data["num_images"]) == (0, True, 1)
    assert data["sealed_by"] == {"engine": "onnxruntime", "precision": "fp32"}
    assert data["tolerance"]["outputs_rel"] == 1e-4
    (engine,) = data["engines"]
    assert (engine["engine"], engine["passed"], engine["outputs_largest"]) == ("onnxruntime", True, 0.0)
    assert [one["resampler"] for one in data["resamplers"]] == ["torch", "opencv"]


def test_verify_of_what_cannot_be_verified_is_wrong_usage(millrace: Millrace, package: Path, images: Path) -> None:
    code, _, err = millrace("verify", package)
    assert (code, "package must be sealed" in err) == (2, True)
    seal(millrace, package, images, "--count", 1)
    next((golden_folder(load_package(str(package))) / "images").iterdir()).unlink()
    code, _, err = millrace("verify", package)
    assert (code, "must be as they were sealed, got no images/" in err) == (2, True)


def test_a_bad_image_is_named(millrace: Millrace, package: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    code, _, err = millrace("seal", package, "--images", tmp_path / "bad.jpg")
    assert code == 2
    assert "--images: must be good images, got file://" in err
    assert "bad.jpg: decode_error" in err
    assert not (package / "golden").exists()


def test_a_package_in_a_bucket_is_sealed_and_verified_there(
    millrace: Millrace, package: Path, images: Path, s3_bucket: str
) -> None:
    uri = f"{s3_bucket}/{uuid4().hex}"
    for path in package.iterdir():
        storage.replace(f"{uri}/{path.name}", path.read_bytes())
    seal(millrace, uri, images, "--count", 2)
    seal(millrace, uri, images, "--count", 1, "--force")
    assert len(list(storage.list_objects(f"{uri}/golden"))) == 3
    code, out, _ = millrace("verify", uri, "--engine", "onnxruntime")
    assert code == 0
    assert "1 golden images" in out
