"""Networks and modules of Lightning of a few kilobytes, and checkpoints of them that Lightning's own Trainer wrote."""

from __future__ import annotations

import argparse
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.torchvision_shim import import_torchvision

import_torchvision()  # Lightning's metrics import it
pytest.importorskip("pytorch_lightning")

import pytorch_lightning as pl  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

SIDE_PX = 8


def build_net(width: int = 4, num_classes: int = 3) -> nn.Sequential:
    """A convolution, a batch norm and a classifier."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, num_classes),
    )


class Trained(pl.LightningModule):
    """What all of them share: a step of Adam, and the loss's own weights among the module's."""

    model: Any
    loss: Any

    def forward(self, values: Tensor) -> Any:
        return self.model(values)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Any:
        return self.loss(self(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.1)


class Classifier(Trained):
    """Hyper-parameters by name, with a path among them."""

    def __init__(self, *, width: int = 4, num_classes: int = 3, lr: float = 0.1, data: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = build_net(width, num_classes)
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(num_classes))


class NamespaceClassifier(Trained):
    """Hyper-parameters as one object, as scripts with argparse have them."""

    def __init__(self, hparams: Any) -> None:
        super().__init__()
        self.save_hyperparameters(hparams)
        self.model = build_net(hparams.width, hparams.num_classes)
        self.loss = nn.CrossEntropyLoss()


class CompiledClassifier(Trained):
    """Its network is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.compile(build_net(), backend="eager")
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(3))


class AveragedClassifier(Trained):
    """Keeps a moving average of its network beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = build_net()
        self.ema_model = build_net()
        self.loss = nn.CrossEntropyLoss()


class MeanLoss:
    """An object of the user's own."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.mean()


class LossKeeper(Trained):
    """Keeps an object among its hyper-parameters that only code can make."""

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = build_net()
        self.loss = loss


class Segmenter(Trained):
    """The U-Net that comes with Millrace inside a module of one's own."""

    def __init__(self, widths: tuple[int, ...] = (2, 4)) -> None:
        super().__init__()
        from inference_core.models.unet import build_unet

        self.save_hyperparameters()
        self.net = build_unet(in_channels=3, num_classes=2, widths=widths)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, values: Tensor) -> Any:
        return self.net(values).mean(dim=(2, 3))


class Notes(pl.Callback):
    """A callback with a state of its own."""

    def state_dict(self) -> dict[str, Any]:
        return {"seen": {"images": 4}, "args": argparse.Namespace(a=1), "scores": [torch.ones(2)]}


def train(module: pl.LightningModule, path: Path) -> bytes:
    """The checkpoint of one step of the real Trainer on the CPU."""
    images, labels = torch.rand(4, 3, SIDE_PX, SIDE_PX), torch.tensor([0, 1, 0, 1])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's own, about the number of workers and the like
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        trainer = pl.Trainer(
            max_steps=1,
            accelerator="cpu",
            logger=False,
            callbacks=[Notes()],
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=path.parent,
        )
        trainer.fit(module, loader)
        trainer.save_checkpoint(path)
    return path.read_bytes()
