"""The peer of bench/train.py: a fine-tuning loop the way people write it, with torchvision's folders and transforms and a DataLoader.

f32, no cache, every photo decoded and the whole network run in every epoch. Prints one JSON line an epoch.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision import transforms


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, required=True, help="holds train/ and validation/, a folder a class"
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
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    sized = [transforms.Resize(options.size * 256 // 224), transforms.CenterCrop(options.size)]
    views = (
        [transforms.RandomResizedCrop(options.size), transforms.RandomHorizontalFlip()]
        if options.crop
        else sized
    )
    train = torchvision.datasets.ImageFolder(
        options.data / "train", transforms.Compose([*views, transforms.ToTensor(), normalize])
    )
    held_out = [
        torchvision.datasets.ImageFolder(
            options.data / name, transforms.Compose([*sized, transforms.ToTensor(), normalize])
        )
        for name in ("validation", "test")
        if (options.data / name).is_dir()
    ]
    loader = torch.utils.data.DataLoader(
        train, options.batch_size, shuffle=True, num_workers=options.workers
    )
    held_out = [
        torch.utils.data.DataLoader(photos, options.batch_size, num_workers=options.workers)
        for photos in held_out
    ]

    model = torchvision.models.get_model(options.model)
    if options.weights:
        model.load_state_dict(torch.load(options.weights, weights_only=True))
    if options.trainable == "last":
        model.requires_grad_(False)
    if options.model.startswith("vgg"):
        model.classifier[6] = nn.Linear(4096, len(train.classes))
    else:
        model.fc = nn.Linear(model.fc.in_features, len(train.classes))
    model.to(device)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=options.lr, momentum=options.momentum)
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        model.train()
        for pixels, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pixels.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
        loss.item()  # a GPU's work is done now, too
        trained = time.perf_counter()
        accuracies = [accuracy(model, photos) for photos in held_out]
        print(
            json.dumps(
                {
                    "epoch": epoch,
                    "train_s": trained - started,
                    "seconds": time.perf_counter() - started,
                    "accuracies": accuracies,
                }
            ),
            flush=True,
        )


@torch.no_grad()
def accuracy(model: nn.Module, photos: torch.utils.data.DataLoader) -> float:
    model.eval()
    device = next(model.parameters()).device
    right = sum(
        (model(pixels.to(device)).argmax(1).cpu() == labels).sum().item()
        for pixels, labels in photos
    )
    return right / len(photos.dataset)


if __name__ == "__main__":
    main()
