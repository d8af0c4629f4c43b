"""The peer of the GPU bench: torchvision's reference training of a classifier, in short.

It does what torchvision documents of its references/classification: random resized crops and
mirrored photos, a DataLoader of worker processes with pinned memory, SGD with momentum 0.9 and
weight decay 1e-4, cross entropy, accuracy in every step, and with --amp float16 under a scaler. It
prints one JSON line for each epoch.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.transforms import v2

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]


def main() -> None:
    options = arguments()
    device = torch.device(options.device)
    loader = train_loader(options)
    classes = len(loader.dataset.classes)
    model = torchvision.models.get_model(options.model, num_classes=classes).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    scaler = torch.amp.GradScaler(device.type) if options.amp else None
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        count = train_one_epoch(model, loader, optimizer, device, scaler)
        seconds = time.perf_counter() - started
        line = {"epoch": epoch, "photos": count, "train_s": seconds}
        print(json.dumps(line), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder with a folder for each class")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--amp", action="store_true")
    return parser.parse_args()


def train_loader(options: argparse.Namespace) -> torch.utils.data.DataLoader:
    views = v2.Compose(
        [
            v2.RandomResizedCrop(options.side, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize(mean=MEAN, std=STD),
        ]
    )
    photos = torchvision.datasets.ImageFolder(options.photos, views)
    sampler = torch.utils.data.RandomSampler(photos)
    return torch.utils.data.DataLoader(
        photos,
        batch_size=options.batch_size,
        sampler=sampler,
        num_workers=options.workers,
        pin_memory=options.device.startswith("cuda"),
    )


def train_one_epoch(model, loader, optimizer, device, scaler) -> int:
    """The number of photos that it trained on."""
    model.train()
    count = 0
    for pixels, labels in loader:
        pixels, labels = pixels.to(device), labels.to(device)
        with torch.autocast(device.type, torch.float16, enabled=scaler is not None):
            output = model(pixels)
            loss = nn.functional.cross_entropy(output, labels)
        optimizer.zero_grad()
        if scaler is not None:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        else:
            loss.backward()
            optimizer.step()
        # its meters read both in every step, which waits for the GPU
        loss.item()
        accuracy(output, labels)
        count += len(labels)
    return count


def accuracy(output: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """The share of photos whose label is the first, and among the first five."""
    with torch.inference_mode():
        _, found = output.topk(min(5, output.shape[1]), 1)
        right = found == labels[:, None]
        return [right[:, :most].any(1).float().mean().item() for most in (1, 5)]


if __name__ == "__main__":
    main()
