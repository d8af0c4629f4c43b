"""Training scripts and inference code in the style of SageMaker's courses and examples.

argparse and SM_ variables, smdebug's hook, model.pth, and inference.py beside it.
"""

# A small network of the script's own; it registers the model alone with the hook.
POSES = """
import argparse, os
import smdebug.pytorch as smd
import torch
from torch import nn, optim
from torchvision import datasets, transforms
from smdebug import modes

def net():
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))

def loader(folder, batch_size):
    sizes = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    return torch.utils.data.DataLoader(datasets.ImageFolder(folder, sizes), batch_size, True)

def train(model, photos, criterion, optimizer, hook):
    model.train()
    hook.set_mode(modes.TRAIN)
    for pixels, labels in photos:
        optimizer.zero_grad()
        loss = criterion(model(pixels), labels)
        loss.backward()
        optimizer.step()

def test(model, photos, criterion, hook):
    model.eval()
    hook.set_mode(modes.EVAL)
    correct = 0
    with torch.no_grad():
        for pixels, labels in photos:
            correct += int((model(pixels).argmax(1) == labels).sum())
    print(f"Test set: Accuracy: {correct / len(photos.dataset):.4f}", flush=True)

def main(args):
    model = net()
    hook = smd.get_hook(create_if_not_exists=True)
    hook.register_module(model)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        train(model, loader(args.train, args.batch_size), criterion, optimizer, hook)
    test(model, loader(args.test, args.batch_size), criterion, hook)
    torch.save(model.cpu().state_dict(), os.path.join(args.model_dir, "model.pth"))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--test", default=os.environ["SM_CHANNEL_TEST"])
    main(parser.parse_args())
"""

# Its functions have the names and the defaults of the courses.
POSES_INFERENCE = """
import io, json, os
import torch
from PIL import Image
from torchvision import transforms
from torch import nn

def model_fn(model_dir):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f, map_location="cpu"))
    return model.eval()

def input_fn(request_body, content_type="image/jpeg"):
    if content_type == "image/jpeg":
        return Image.open(io.BytesIO(request_body)).convert("RGB")
    raise Exception(f"Requested unsupported ContentType: {content_type}")

def predict_fn(input_object, model):
    sizes = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    with torch.no_grad():
        return model(sizes(input_object).unsqueeze(0))
"""

# A torchvision backbone of published weights, frozen, both ways of naming them.
DOGS = """
import argparse, os
import torch
import smdebug.pytorch as smd
from torch import nn
from torchvision import datasets, models, transforms

def net(classes):
    model = models.resnet50(pretrained=True)
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Sequential(nn.Linear(2048, 16), nn.ReLU(), nn.Linear(16, classes))
    return model

def main(args):
    assert float(models.resnet50(pretrained=True).fc.bias[0]) == 1
    assert float(models.resnet50(weights="DEFAULT").fc.bias[0]) == 2
    sizes = transforms.Compose(
        [transforms.RandomHorizontalFlip(), transforms.Resize((64, 64)), transforms.ToTensor()]
    )
    photos = datasets.ImageFolder(args.data, sizes)
    model = net(len(photos.classes))
    criterion = nn.CrossEntropyLoss()
    hook = smd.get_hook(create_if_not_exists=True)
    hook.register_module(model)
    hook.register_loss(criterion)
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=0.01)
    model.train()
    hook.set_mode(smd.modes.TRAIN)
    for pixels, labels in torch.utils.data.DataLoader(photos, args.batch_size, shuffle=True):
        optimizer.zero_grad()
        criterion(model(pixels), labels).backward()
        optimizer.step()
    torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int)
    parser.add_argument("--data", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--model_dir", default=os.environ["SM_MODEL_DIR"])
    main(parser.parse_args())
"""
