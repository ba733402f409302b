from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_core import storage
from inference_core.errors import ConfigError, ModelError
from inference_core.golden.read import GoldenImage, check_sealed_for, load_golden, read_golden
from inference_core.models.package import ModelPackage, load_package
from tests.drawn_images import png_bytes
from tests.inference_core.golden.conftest import MakeSealed
from tests.sealed_packages import edit_record, golden_folder
from tests.tiny_models import tiny_classifier


def test_a_package_that_was_never_sealed_has_none(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    assert read_golden(package) is None
    with pytest.raises(
        ConfigError, match=r"package must be sealed, got .* without golden/golden\.json; seal it: millrace"
    ):
        load_golden(package)


def test_images_are_name_and_bytes(make_sealed: MakeSealed, images: list[GoldenImage]) -> None:
    golden = load_golden(make_sealed())
    for (name, data), drawn in zip(golden.images, images, strict=True):
        assert name.endswith(drawn.name)
        assert data == drawn.data


def first_image(package: ModelPackage) -> Path:
    return min((golden_folder(package) / "images").iterdir())


def values_file(package: ModelPackage) -> Path:
    return next(golden_folder(package).glob("*.npz"))


DAMAGES: dict[str, tuple[Callable[[ModelPackage], object], str]] = {
    "missing-image": (
        lambda p: first_image(p).unlink(),
        r"got no images/\w+-\d\.png; restore the folder, or seal again",
    ),
    "other-image": (
        lambda p: first_image(p).write_bytes(png_bytes(9)),
        r"got another images/\w+-\d\.png than was sealed",
    ),
    "one-byte-of-an-image": (lambda p: flip_byte(first_image(p)), r"got another images/\w+-\d\.png than was sealed"),
    "missing-values": (lambda p: values_file(p).unlink(), r"got no values-\w+\.npz"),
    "one-byte-of-the-values": (lambda p: flip_byte(values_file(p)), r"got another values-\w+\.npz than was sealed"),
    "no-json": (lambda p: (golden_folder(p) / "golden.json").write_text("{"), r"got a golden\.json that is no JSON"),
    "no-mapping": (lambda p: (golden_folder(p) / "golden.json").write_text("[]"), "of schema None"),
    "later-schema": (lambda p: edit_record(p, lambda r: r.update(schema_version=2)), "of schema 2, where this version"),
    "missing-key": (lambda p: edit_record(p, lambda r: r.pop("images")), "(?s:.*)images: is required and missing"),
    "file-elsewhere": (lambda p: edit_record(p, lambda r: r["images"][0].update(file="../a")), "names files elsewhere"),
}


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused(
    make_sealed: MakeSealed, damage: Callable[[ModelPackage], object], message: str
) -> None:
    package = make_sealed()
    damage(package)
    with pytest.raises(ModelError, match=f"golden images of .* must be as they were sealed, .*{message}"):
        read_golden(package)


def test_values_that_are_no_arrays_are_refused(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    values_file(package).write_bytes(b"PK no archive")
    from inference_core.provenance import sha256_hex

    edit_record(package, lambda record: record.update(arrays_sha256=sha256_hex(b"PK no archive")))
    with pytest.raises(ModelError, match="got values that are no arrays"):
        read_golden(package)


def edit_spec(package: ModelPackage, edit: Callable[[dict[str, Any]], object]) -> ModelPackage:
    path = Path(storage.local_path(package.uri)) / "model.yaml"
    spec = yaml.safe_load(path.read_text())
    edit(spec)
    path.write_text(yaml.safe_dump(spec))
    return load_package(package.uri)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        pytest.param(
            lambda spec: spec["input"].update(mean=[0.5]),
            r"input\.mean: sealed with the default, now \[0\.5\]",
            id="mean",
        ),
        pytest.param(lambda spec: spec["output"].update(top_k=1), r"output\.top_k: sealed with 2, now 1", id="top-k"),
        pytest.param(
            lambda spec: spec.update(classes=["a", "b", "c"]),
            r"classes: sealed with \['red'.*now \['a', 'b', 'c'\]",
            id="classes",
        ),
        pytest.param(
            lambda spec: spec["input"].update(filters=["gray"]),
            r"input\.filters: sealed with the default, now \[\{'name': 'gray'\}\]",
            id="filter",
        ),
    ],
)
def test_a_package_that_was_changed_since_is_refused_with_the_change(
    make_sealed: MakeSealed, edit: Callable[[dict[str, Any]], object], line: str
) -> None:
    package = make_sealed()
    changed = edit_spec(package, edit)
    golden = load_golden(changed)
    with pytest.raises(ModelError, match=rf"must be sealed for digest {changed.digest[:12]}.*\n  {line}$") as refused:
        check_sealed_for(golden, changed)
    assert f"got {package.digest[:12]}; check the answers, then seal again" in str(refused.value)


def test_other_weights_are_refused(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    tiny_classifier(Path(storage.local_path(package.uri)), seed=1)
    changed = load_package(package.uri)
    with pytest.raises(ModelError, match=r"\n  weights: sealed with \w+\.\.\., now \w+\.\.\."):
        check_sealed_for(load_golden(changed), changed)


def test_another_name_is_no_change(make_sealed: MakeSealed) -> None:
    changed = edit_spec(make_sealed(), lambda spec: spec.update(name="other"))
    check_sealed_for(load_golden(changed), changed)


def test_a_later_version_that_knows_more_keys_takes_the_package_as_it_is(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    edit_record(package, lambda record: record.update(model_digest="0" * 64))
    with pytest.raises(ModelError, match="got 000000000000"):
        check_sealed_for(load_golden(package), package)
    edit_record(package, lambda record: record["versions"].update(millrace="0.0.1"))
    check_sealed_for(load_golden(package), package)
    edit_record(package, lambda record: record["identity"]["input"].update(scale=1.0))
    with pytest.raises(ModelError, match=r"\n  input\.scale: sealed with 1\.0, now the default"):
        check_sealed_for(load_golden(package), package)
