"""Train the package's U-Net on the CPU, on images drawn for it, and write ``package/``.

python examples/cells/train.py
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from cellgen.crops import CropPool, draw_pool, spread_to_rgb
from cellgen.files import to_uint8
from cellgen.iou import measure_iou
from cellgen.sample import Sample, draw_sample
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn
from torch.nn import functional as F

from inference_core.architecture_spec import ArchitectureSpec
from inference_core.models.architectures import build_architecture
from inference_core.predictor import Predictor
from inference_core.results import Segmentation

PACKAGE = Path(__file__).resolve().parent / "package"
WEIGHTS_NAME = "cells_unet.safetensors"
ARCHITECTURE = {"in_channels": 3, "num_classes": 2, "widths": [16, 32, 64, 128], "upsampling": "transpose"}
TRAIN_SEED, HELD_OUT_SEED, INIT_SEED = 1001, 1002, 1003
"""Collections of their own: no image is in two of them, nor in the one that ``generate.py`` draws by default."""
NUM_TRAIN, NUM_HELD_OUT = 900, 60
CROP_PX, BATCH, STEPS_PER_EPOCH, NUM_EPOCHS = 128, 16, 150, 12
PEAK_LEARNING_RATE = 3e-3
MEAN, STD, MULTIPLE_PX = 0.5, 0.25, 8

SPEC = {
    "name": "cells-unet",
    "task": "segmentation",
    "format": "state_dict",
    "weights": WEIGHTS_NAME,
    "weights_sha256": "",
    "architecture": {"name": "unet", "options": ARCHITECTURE},
    "classes": ["background", "cell"],
    "input": {
        "fit": "native",
        "multiple_px": 8,
        "pad_mode": "reflect",
        "color": "rgb",
        "scale": 255.0,
        "mean": [MEAN],
        "std": [STD],
    },
    "output": {"activation": "softmax", "threshold": 0.5},
    "postprocess": [{"fill_holes": True}, {"min_area_px": 16}],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, report and write."""
    parser = argparse.ArgumentParser(description="Train the cells U-Net and write its package.")
    parser.add_argument("--out", type=Path, default=PACKAGE, help="package folder (default: the one beside this file)")
    parser.add_argument("--threads", type=int, default=3, help="CPU threads (default 3)")
    parser.add_argument("--epochs", type=int, default=NUM_EPOCHS, help=f"default {NUM_EPOCHS}")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(INIT_SEED)
    model = train(num_epochs=options.epochs)
    write_package(model, out=options.out)
    print(f"held-out IoU of the package, prepared and finished as in production: {score_package(options.out):.4f}")
    return 0


def train(*, num_epochs: int) -> nn.Module:
    """Train from scratch; print the held-out IoU after each epoch."""
    pool = draw_pool(seed=TRAIN_SEED, count=NUM_TRAIN)
    held_out = [draw_sample(seed=HELD_OUT_SEED, index=index) for index in range(NUM_HELD_OUT)]
    model = build_architecture(ArchitectureSpec(name="unet", options=ARCHITECTURE))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=num_epochs * STEPS_PER_EPOCH, pct_start=0.2
    )
    rng = np.random.default_rng(INIT_SEED)
    start_s = time.perf_counter()
    for epoch in range(1, num_epochs + 1):
        losses = []
        for _ in range(STEPS_PER_EPOCH):
            losses.append(take_step(model.train(), optimizer, pool, rng))
            schedule.step()
        iou = float(np.mean([measure_iou(predict(model.eval(), sample), sample.truth) for sample in held_out]))
        elapsed_s = time.perf_counter() - start_s
        print(f"epoch {epoch:2d}  loss {np.mean(losses):.4f}  held-out IoU {iou:.4f}  {elapsed_s:.0f} s", flush=True)
    model.eval()
    return model


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer, pool: CropPool, rng: np.random.Generator) -> float:
    """One batch of crops; returns the loss."""
    pixels, truth = pool.draw_batch(rng, size=BATCH, crop_px=CROP_PX)
    # bfloat16 halves the time on a CPU that has it; the weights stay float32.
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(normalise(pixels))
    loss = segmentation_loss(logits.float(), torch.from_numpy(truth).long())
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()


def segmentation_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus one minus the soft Dice of the cell class over the batch.

    Args:
        logits: (B, 2, H, W) float32.
        truth: (B, H, W) int64 class ids.
    """
    cell = logits.softmax(dim=1)[:, 1]
    overlap = 2 * (cell * truth).sum() + 1
    dice = overlap / (cell.sum() + truth.sum() + 1)
    return F.cross_entropy(logits, truth) + 1 - dice


def normalise(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 as the package's ``input`` says."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    return ((images / 255.0 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def predict(model: nn.Module, sample: Sample) -> NDArray[np.uint8]:
    """(H, W) uint8 class ids of a whole image in one piece, padded to a multiple by reflection."""
    pixels = spread_to_rgb(to_uint8(sample.light))
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, [(0, -height % MULTIPLE_PX), (0, -width % MULTIPLE_PX), (0, 0)], mode="reflect")
    with torch.inference_mode():
        logits = model(normalise(padded[None]))
    return np.asarray(logits[0].argmax(dim=0)[:height, :width].byte())


def write_package(model: nn.Module, *, out: Path) -> None:
    """Write weights and ``model.yaml``."""
    out.mkdir(parents=True, exist_ok=True)
    weights = out / WEIGHTS_NAME
    weights.write_bytes(save({name: value.contiguous() for name, value in model.state_dict().items()}))
    spec = {**SPEC, "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    (out / "model.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    print(f"wrote {weights.stat().st_size:,} bytes of weights and model.yaml to {out}")


def score_package(package: Path) -> float:
    """Mean IoU of the held-out images, predicted by the package as a job does it."""
    predictor = Predictor.load(package, device="cpu", num_threads=torch.get_num_threads())
    ious = []
    for index in range(NUM_HELD_OUT):
        sample = draw_sample(seed=HELD_OUT_SEED, index=index)
        result = predictor.predict(to_uint8(sample.light)).result
        assert isinstance(result, Segmentation), "a drawn image is a good image"
        ious.append(measure_iou(result.mask, sample.truth))
    return float(np.mean(ious))


if __name__ == "__main__":
    raise SystemExit(main())
