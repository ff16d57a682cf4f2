"""One epoch of `fit` against the usual tutorial loop: same size 784-400-20, same batches of 128, same run.

The tutorial loop stands below as public lessons write it: DataLoader, ToTensor, unfused Adam.  Beside it an
epoch of the convolutional VAE.  The floor is the time of the products alone, measured layer by layer.
Run: python tests/benchmarks/epoch.py
"""

import copy
import platform
import time

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import ToTensor

from vae_lesson.data import load_dataset
from vae_lesson.models import VAE, ConvVAE, FeedforwardVAE
from vae_lesson.training import fit, has_bf16

BATCH, HIDDEN, LATENT, PIXELS = 128, 400, 20, 784
ROUNDS = 3  # the fastest of each counts: other work on the machine only adds time


class TutorialImages(torch.utils.data.Dataset):
    """What torchvision.datasets.MNIST does for each image."""

    def __init__(self, images):
        self.images, self.transform = images, ToTensor()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index].numpy(), mode=None))


class TutorialVAE(VAE):
    """784-400-20 and back with ReLU, as pytorch/examples has it, so that the same scorer can judge it."""

    def __init__(self):
        super().__init__("bernoulli", latent_dim=LATENT, hidden=HIDDEN)
        out = nn.Linear(HIDDEN, 2 * LATENT)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), out)
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))


def tutorial_epoch(images, model, optimizer, binary: bool = False) -> float:
    """Seconds of one epoch.  binary: a fresh black-and-white sample of each batch instead of grey pixels."""
    started, total = time.perf_counter(), 0.0
    for x in DataLoader(TutorialImages(images), batch_size=BATCH, shuffle=True):
        x = torch.bernoulli(x) if binary else x
        mu, log_var = model.encoder(x).chunk(2, -1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        recon = torch.sigmoid(model.decoder(z))
        bce = F.binary_cross_entropy(recon, x.view(-1, PIXELS), reduction="sum")
        loss = bce - 0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return time.perf_counter() - started


def tutorial_start():
    """The model and the optimiser with which the tutorial begins."""
    model = TutorialVAE()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3, foreach=False, fused=False)


def our_epoch(images, model, bf16: bool) -> float:
    return fit(model, images, epochs=1, progress=False, bf16=bf16).seconds[0]


def floor(model, dtype) -> dict[str, float]:
    """Seconds of the products of a step, layer by layer: forward, back to weights, back to the input."""
    seen = {}  # layer -> what comes in
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    layers = {n: m for n, m in model.named_modules() if isinstance(m, kinds)}
    hooks = [m.register_forward_pre_hook(lambda _, h, n=n: seen.update({n: h[0]})) for n, m in layers.items()]
    model.decode(model.encode(torch.rand(BATCH, 1, 28, 28))[0])
    for hook in hooks:
        hook.remove()
    seconds = {}
    for name, h in seen.items():
        layer, h = copy.deepcopy(layers[name]).to(dtype), h.detach().to(dtype)
        wanted = [*layer.parameters()]
        if len(seconds):  # nobody needs the gradient with respect to the image
            wanted.append(h.requires_grad_())
        dy, times = torch.randn_like(layer(h)), []
        for _ in range(100):
            started = time.perf_counter()
            torch.autograd.grad(layer(h), wanted, dy)
            times.append(time.perf_counter() - started)
        seconds[f"{name} {tuple(layer.weight.shape)}"] = sorted(times)[25]
    return seconds


if __name__ == "__main__":
    images = load_dataset("mnist")[0].images  # all 60,000
    steps = -(-len(images) // BATCH)
    kinds = {"float32": (False, torch.float32)}
    if has_bf16(torch.device("cpu")):
        kinds["bfloat16"] = (True, torch.bfloat16)
    models = {"784-400-20": lambda: FeedforwardVAE(LATENT, hidden=HIDDEN, blocks=0), "ConvVAE": ConvVAE}
    tutorial, ours = [], {(name, kind): [] for name in models for kind in kinds}
    for _ in range(ROUNDS):  # in turns, so that a slow minute of the machine hits all alike
        tutorial.append(tutorial_epoch(images, *tutorial_start()))
        for name, kind in ours:
            ours[name, kind].append(our_epoch(images, models[name](), kinds[kind][0]))
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"tutorial loop 784-400-20, float32: {min(tutorial):.2f} s an epoch of {len(images):,} images")
    for (name, kind), seconds in ours.items():
        products = floor(models[name](), kinds[kind][1])
        least = sum(products.values()) * steps
        ratio = f", tutorial / fit = {min(tutorial) / min(seconds):.2f}" if name == "784-400-20" else ""
        print(
            f"fit {name}, {kind}: {min(seconds):.2f} s{ratio}\n"
            f"  products alone {least:.2f} s, {least / min(seconds):.0%} of fit's time"
        )
        if name == "ConvVAE":
            print(*(f"    {layer:40} {t * steps:5.2f} s" for layer, t in products.items()), sep="\n")
    if "bfloat16" not in kinds:
        print("bfloat16: not in this hardware")
