"""The peer of the training benches: a fine-tuning loop as people write it.

It uses torchvision's folders and transforms and a DataLoader: f32, no cache; every epoch decodes
every photo and runs the whole network. It prints one JSON line for each epoch.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision import transforms

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]

Loader = torch.utils.data.DataLoader[Any]


def main() -> None:
    options = arguments()
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = train_loader(options)
    held_out = held_out_loaders(options)
    photos: Any = loader.dataset  # an ImageFolder
    model = make_model(options, len(photos.classes)).to(device)
    learning = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=options.lr, momentum=options.momentum)
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        model.train()
        for pixels, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pixels.to(device)), labels.to(device))
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()
        loss.item()  # waits for the GPU
        trained = time.perf_counter()
        accuracies = [accuracy(model, photos, device) for photos in held_out]
        line = {
            "epoch": epoch,
            "train_s": trained - started,
            "seconds": time.perf_counter() - started,
            "accuracies": accuracies,
        }
        print(json.dumps(line), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="holds train/ and validation/, with one folder per class",
    )
    parser.add_argument("--model", default="vgg16")
    parser.add_argument(
        "--weights", type=Path, help="state of a network with ImageNet's 1000 classes"
    )
    parser.add_argument("--trainable", choices=("last", "all"), default="last")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--crop", action="store_true", help="random crops and mirrored photos")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train_loader(options: argparse.Namespace) -> Loader:
    views = sized(options.size)
    if options.crop:
        crop = transforms.RandomResizedCrop(options.size)
        views = [crop, transforms.RandomHorizontalFlip()]
    photos = folder(options.data / "train", views)
    return torch.utils.data.DataLoader(
        photos, options.batch_size, shuffle=True, num_workers=options.workers
    )


def held_out_loaders(options: argparse.Namespace) -> list[Loader]:
    """Of the channels validation and test, those that are there."""
    loaders = []
    for name in ("validation", "test"):
        if (options.data / name).is_dir():
            photos = folder(options.data / name, sized(options.size))
            loaders.append(
                torch.utils.data.DataLoader(photos, options.batch_size, num_workers=options.workers)
            )
    return loaders


def sized(size: int) -> list[Any]:
    return [transforms.Resize(size * 256 // 224), transforms.CenterCrop(size)]


def folder(path: Path, views: list[Any]) -> Any:
    normalize = transforms.Normalize(MEAN, STD)
    whole = transforms.Compose([*views, transforms.ToTensor(), normalize])
    return torchvision.datasets.ImageFolder(path, whole)


def make_model(options: argparse.Namespace, classes: int) -> nn.Module:
    """torchvision's network with a new last layer."""
    model = torchvision.models.get_model(options.model)
    if options.weights:
        weights = torch.load(options.weights, weights_only=True)
    model.load_state_dict(weights)
    if options.trainable == "last":
        model.requires_grad_(False)
    if options.model.startswith("vgg"):
        model.classifier[6] = nn.Linear(4096, classes)
    else:
        model.fc = nn.Linear(model.fc.in_features, classes)
    network: nn.Module = model
    return network


@torch.no_grad()
def accuracy(model: nn.Module, photos: Loader, device: torch.device) -> float:
    model.eval()
    right = 0
    count = 0
    for pixels, labels in photos:
        logits = model(pixels.to(device))
        answers = logits.argmax(1).cpu()
        right += int((answers == labels).sum())
        count += len(labels)
    return right / count


if __name__ == "__main__":
    main()
