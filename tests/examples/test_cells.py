from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import generate
import numpy as np
import pytest
import score
import torch
import train
import yaml
from cellgen.crops import CropPool, draw_crop
from cellgen.files import FILE_FORMATS, to_uint8, to_uint16
from cellgen.hostile import build_hostile_files
from cellgen.iou import measure_iou
from cellgen.outline import draw_outline, measure_depth
from cellgen.sample import IMAGE_SIZES_HW, draw_sample
from cellgen.scene import draw_scene
from cellgen.styles import STYLES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors.torch import load_file
from scipy import ndimage
from sklearn.metrics import jaccard_score

from inference_core.models.unet import build_unet
from inference_core.spec import ModelSpec

CELLS = Path(__file__).resolve().parents[2] / "examples" / "cells"
PACKAGE = CELLS / "package"
FRESH_SEED = 77


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    """Two images of each format, and the hostile files."""
    out = tmp_path_factory.mktemp("cells")
    assert generate.main(["--out", str(out), "--count", str(2 * len(FILE_FORMATS)), "--seed", "5", "--bad"]) == 0
    return out


@pytest.fixture(scope="module")
def index(collection) -> list[dict[str, str]]:
    with (collection / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return ModelSpec.model_validate(yaml.safe_load((PACKAGE / "model.yaml").read_text()))


def write_masks(folder: Path, truth: Path, index: list[dict[str, str]], *, change) -> Path:
    """Store ``change(truth)`` of each image under the name that a job gives it."""
    folder.mkdir(exist_ok=True)
    for row in index:
        mask = score.read_mask(truth / "masks" / row["mask"])
        Image.fromarray(change(mask)).save(folder / f"{row['image_id']}.png")
    return folder


class TestDrawing:
    def test_the_same_seed_and_index_give_the_same_pixels(self):
        first, again = draw_sample(seed=3, index=9), draw_sample(seed=3, index=9)
        assert first.light.tobytes() == again.light.tobytes()
        assert first.truth.tobytes() == again.truth.tobytes()

    @pytest.mark.parametrize(("seed", "index"), [(4, 9), (3, 10)], ids=["other-seed", "other-index"])
    def test_another_seed_or_index_gives_another_image(self, seed, index):
        first, other = draw_sample(seed=3, index=9), draw_sample(seed=seed, index=index)
        assert first.truth.shape != other.truth.shape or (first.truth != other.truth).any()

    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize("gray", [True, False], ids=["gray", "rgb"])
    def test_light_and_truth_keep_their_ranges(self, style, gray):
        sample = draw_sample(seed=1, index=0, gray=gray, style=style)
        assert sample.light.dtype == np.float32
        assert sample.light.ndim == (2 if gray else 3)
        assert sample.light.shape[:2] == sample.truth.shape
        assert sample.truth.shape in IMAGE_SIZES_HW
        assert sample.light.min() >= 0
        assert sample.light.max() <= 1
        assert sample.style == style
        assert set(np.unique(sample.truth)) <= {0, 1}

    @pytest.mark.parametrize("style", STYLES)
    def test_truth_lies_where_the_image_has_its_edges(self, style):
        shifts = [(0, 0), (8, 0), (-8, 0), (0, 8), (0, -8)]
        strength = np.zeros(len(shifts))
        for index in range(12):
            sample = draw_sample(seed=2, index=index, gray=True, style=style)
            slope = ndimage.gaussian_gradient_magnitude(sample.light, 1.0)
            outline = sample.truth != ndimage.grey_erosion(sample.truth, size=3)
            strength += [
                np.mean(np.roll(slope, shift, (0, 1)), where=outline) if outline.any() else 0 for shift in shifts
            ]
        assert strength[0] > 1.2 * strength[1:].max()

    def test_there_are_no_more_pieces_of_truth_than_cells_and_none_without(self):
        scenes = [draw_scene(np.random.default_rng(seed), image_hw=(200, 333)) for seed in range(60)]
        assert any(scene.num_cells == 0 for scene in scenes), "empty slides occur"
        for scene in scenes:
            assert ndimage.label(scene.truth)[1] <= scene.num_cells
            assert scene.truth.any() == (scene.num_cells > 0)

    @settings(deadline=None)
    @given(seed=st.integers(0, 10_000), radius_px=st.floats(2, 40))
    def test_an_outline_stays_within_its_reach_and_holds_its_centre(self, seed, radius_px):
        outline = draw_outline(np.random.default_rng(seed), centre_yx=(100.0, 100.0), radius_px=radius_px)
        margin = outline.reach_px + 3
        window = (slice(100 - margin, 100 + margin), slice(100 - margin, 100 + margin))
        depth = measure_depth(outline, window=window)
        y, x = np.nonzero(depth > 0)
        assert np.hypot(y + 0.5 - margin, x + 0.5 - margin).max() <= outline.reach_px
        assert depth[margin, margin] > 0


class TestGenerate:
    def test_each_image_has_a_mask_of_its_size_and_a_line(self, collection, index):
        assert len(index) == 2 * len(FILE_FORMATS)
        names = {path.name for path in (collection / "images").iterdir()} - set(build_hostile_files(seed=5))
        assert names == {row["image_id"] for row in index}
        for row in index:
            assert Path(row["image_id"]).stem == Path(row["mask"]).stem
            size = (int(row["width_px"]), int(row["height_px"]))
            with Image.open(collection / "images" / row["image_id"]) as image:
                assert ImageOps.exif_transpose(image).size == size
            with Image.open(collection / "masks" / row["mask"]) as mask:
                assert (mask.size, mask.mode) == (size, "L")
                assert set(np.unique(np.asarray(mask))) <= {0, 1}

    def test_a_second_run_writes_the_same_bytes(self, collection, index, tmp_path):
        generate.main(["--out", str(tmp_path), "--count", str(len(index)), "--seed", "5", "--bad"])
        first, again = (
            {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
            for out in (collection, tmp_path)
        )
        assert first == again

    def test_a_later_start_continues_the_same_collection(self, collection, tmp_path):
        generate.main(["--out", str(tmp_path), "--count", "2", "--start", "7", "--seed", "5"])
        written = sorted((tmp_path / "images").iterdir())
        assert [path.name for path in written] == ["00007.webp", "00008.gif"]
        assert all(path.read_bytes() == (collection / "images" / path.name).read_bytes() for path in written)

    def test_nothing_asked_for_is_an_empty_collection(self, tmp_path):
        assert generate.main(["--out", str(tmp_path), "--count", "0"]) == 0
        assert list((tmp_path / "images").iterdir()) == []
        assert len((tmp_path / "index.csv").read_text().splitlines()) == 1

    def test_it_runs_as_a_script_and_refuses_a_negative_count(self, tmp_path):
        command = [sys.executable, str(CELLS / "generate.py"), "--out", str(tmp_path), "--count", "-1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 2
        assert "--count must be at least 0, got -1; raise it" in done.stderr


class TestFiles:
    @pytest.mark.parametrize("file_format", FILE_FORMATS, ids=lambda file_format: file_format.name)
    def test_pixels_come_back(self, file_format):
        gray = bool(file_format.gray)
        light = draw_sample(seed=6, index=1, gray=gray).light
        image = ImageOps.exif_transpose(Image.open(BytesIO(file_format.encode(light))))
        if file_format.name in ("png16", "tiff16"):
            np.testing.assert_array_equal(np.asarray(image), to_uint16(light))
            return
        decoded = np.asarray(image.convert("L" if gray else "RGB"))
        if file_format.name.startswith("jpeg"):
            # JPEG drops noise and fine colour, so smooth shapes are compared; half a grey level is its rounding.
            smooth, expected = (
                ndimage.gaussian_filter(a.astype(float), 3, axes=(0, 1)) for a in (decoded, to_uint8(light))
            )
            assert np.abs(smooth - expected).mean() < 0.5
        else:
            np.testing.assert_array_equal(decoded, to_uint8(light))

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("bad_cut_off.jpg", OSError),
            ("bad_empty.png", UnidentifiedImageError),
            ("bad_web_page.jpg", UnidentifiedImageError),
            ("bad_huge.png", Image.DecompressionBombError),
        ],
    )
    def test_hostile_files_are_refused_by_an_independent_decoder(self, name, error):
        files = build_hostile_files(seed=5)
        assert len(files) == 4
        with pytest.raises(error):
            Image.open(BytesIO(files[name])).load()


class TestScore:
    def test_the_truth_itself_scores_one(self, collection, index, tmp_path, capsys):
        masks = write_masks(tmp_path / "masks", collection, index, change=lambda mask: mask * 255)
        assert score.main(["--truth", str(collection), "--predicted", str(masks), "--min-iou", "1"]) == 0
        text = capsys.readouterr().out
        assert f"mean IoU 1.0000 over {len(index)} images, 0 without a mask" in text
        for file_format in FILE_FORMATS:
            assert any(line.split() == [file_format.name, "2", "1.0000", "1.0000"] for line in text.splitlines())

    def test_empty_masks_score_the_share_of_empty_slides(self, tmp_path, capsys):
        (tmp_path / "masks").mkdir()
        rows = [("a.png", 0), ("b.png", 1), ("c.png", 1), ("d.png", 1)]
        lines = ["image_id,mask,format,style,height_px,width_px,num_cells"]
        for name, value in rows:
            Image.fromarray(np.full((4, 6), value, np.uint8)).save(tmp_path / "masks" / name)
            lines.append(f"{name},{name},png8,phase,4,6,{value}")
        (tmp_path / "index.csv").write_text("\n".join(lines))
        with (tmp_path / "index.csv").open(newline="") as file:
            index = list(csv.DictReader(file))
        masks = write_masks(tmp_path / "predicted", tmp_path, index, change=np.zeros_like)
        assert score.main(["--truth", str(tmp_path), "--predicted", str(masks), "--min-iou", "0.25"]) == 0
        assert "mean IoU 0.2500 over 4 images" in capsys.readouterr().out
        assert score.main(["--truth", str(tmp_path), "--predicted", str(masks), "--min-iou", "0.26"]) == 1
        assert "mean IoU must be at least 0.26, got 0.2500" in capsys.readouterr().out

    def test_a_missing_mask_counts_as_zero_and_is_named(self, collection, index, tmp_path, capsys):
        masks = write_masks(tmp_path / "masks", collection, index, change=lambda mask: mask)
        (masks / f"{index[3]['image_id']}.png").unlink()
        score.main(["--truth", str(collection), "--predicted", str(masks)])
        text = capsys.readouterr().out
        assert any(line.split() == [index[3]["image_id"], "0.0000", "no", "mask"] for line in text.splitlines())
        assert f"mean IoU {1 - 1 / len(index):.4f} over {len(index)} images, 1 without a mask" in text

    def test_another_naming_rule_finds_the_truth_in_its_own_folder(self, collection, capsys):
        arguments = ["--truth", str(collection), "--predicted", str(collection / "masks"), "--name", "{stem}.png"]
        assert score.main([*arguments, "--min-iou", "1"]) == 0
        assert score.main([*arguments[:-2], "--min-iou", "1"]) == 1

    def test_an_empty_collection_is_no_success(self, tmp_path, capsys):
        generate.main(["--out", str(tmp_path), "--count", "0"])
        assert score.main(["--truth", str(tmp_path), "--predicted", str(tmp_path / "masks")]) == 1
        assert "must name at least one image, got none; generate some" in capsys.readouterr().out

    def test_a_folder_that_is_no_collection_is_named(self, tmp_path, capsys):
        with pytest.raises(SystemExit, match="2"):
            score.main(["--truth", str(tmp_path), "--predicted", str(tmp_path)])
        assert f"--truth must be a folder with index.csv, got {tmp_path}" in capsys.readouterr().err

    def test_an_overlay_is_not_taken_for_a_mask(self, tmp_path):
        Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
        with pytest.raises(ValueError, match="must have one channel"):
            score.read_mask(tmp_path / "a.png")


class TestIou:
    @given(arrays(np.uint8, (2, 5, 7), elements=st.integers(0, 1)))
    @settings(deadline=None)  # the first call imports much of scikit-learn
    def test_it_is_the_jaccard_score(self, masks):
        if masks.any():
            assert measure_iou(*masks) == pytest.approx(jaccard_score(masks[1].ravel(), masks[0].ravel()), abs=1e-12)
        else:
            assert measure_iou(*masks) == 1.0

    def test_other_sizes_are_refused(self):
        with pytest.raises(ValueError, match=r"the truth's size \(3, 4\), got \(4, 3\)"):
            measure_iou(np.zeros((4, 3)), np.zeros((3, 4)))


class TestTraining:
    def test_crops_keep_truth_on_its_pixels(self):
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 2, (40, 50), dtype=np.uint8)
        pool = CropPool(images=(np.repeat(truth[..., None] * 200, 3, axis=2),), truths=(truth,))
        pixels, truths = pool.draw_batch(rng, size=64, crop_px=32)
        assert pixels.shape == (64, 32, 32, 3)
        assert truths.shape == (64, 32, 32)
        np.testing.assert_array_equal(pixels, np.repeat(truths[..., None] * 200, 3, axis=3))
        assert len({crop.tobytes() for crop in truths}) > 32

    def test_a_crop_may_be_as_large_as_the_image(self):
        truth = np.ones((32, 32), np.uint8)
        pixels, cut = draw_crop(np.random.default_rng(1), np.zeros((32, 32, 3), np.uint8), truth, crop_px=32)
        assert pixels.shape == (32, 32, 3)
        assert cut.all()

    def test_the_loss_is_least_where_the_answer_is_right(self):
        truth = torch.tensor([[[0, 1], [1, 1]]])
        right = torch.stack([1.0 - truth, truth.float()], dim=1) * 20
        undecided = torch.zeros(1, 2, 2, 2)
        assert train.segmentation_loss(right, truth).item() == pytest.approx(0, abs=1e-6)
        # ln 2, and a Dice of (2 * 1.5 + 1) / (2 + 3 + 1).
        assert train.segmentation_loss(undecided, truth).item() == pytest.approx(np.log(2) + 1 - 4 / 6, abs=1e-6)
        assert train.segmentation_loss(-right, truth).item() > 20


class TestPackage:
    def test_the_package_is_what_the_training_script_writes(self, spec):
        written = {**train.SPEC, "weights_sha256": spec.weights_sha256}
        assert spec == ModelSpec.model_validate(written)

    def test_weights_are_small_and_those_of_the_digest(self, spec):
        content = (PACKAGE / spec.weights).read_bytes()
        assert hashlib.sha256(content).hexdigest() == spec.weights_sha256
        assert len(content) < 3_000_000

    def test_weights_find_cells_in_images_never_seen(self, spec):
        assert spec.architecture is not None
        model = build_unet(**spec.architecture.options).eval()
        model.load_state_dict(load_file(PACKAGE / spec.weights), strict=True)
        samples = [draw_sample(seed=FRESH_SEED, index=index) for index in range(12)]
        ious = [measure_iou(segment(model, to_uint8(sample.light), spec), sample.truth) for sample in samples]
        assert np.mean(ious) >= 0.85
        assert np.count_nonzero(np.array(ious) < 0.6) == 0


def segment(model: torch.nn.Module, pixels: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 -> (H, W) class ids, padded to a multiple of 8, written apart from production."""
    rgb = np.stack([pixels] * 3, axis=2) if pixels.ndim == 2 else pixels
    height, width = rgb.shape[:2]
    padded = np.pad(rgb, [(0, -height % 8), (0, -width % 8), (0, 0)], mode="reflect").astype(np.float32)
    images = (padded / spec.input.scale - np.float32(spec.input.mean)) / np.float32(spec.input.std)
    with torch.inference_mode():
        logits = model(torch.from_numpy(images).permute(2, 0, 1)[None])
    return logits[0].argmax(dim=0).numpy()[:height, :width]
