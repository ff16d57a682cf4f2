"""One epoch of `fit` against the usual tutorial loop: same net 784-400-20, same batches of 128, same run.

The tutorial loop stands below as public lessons write it: DataLoader, ToTensor, unfused Adam.  The floor is
the time of the matrix products alone, measured on this machine, shape by shape.
Run: python tests/benchmarks/epoch.py
"""

import platform
import time

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import ToTensor

from vae_lesson.data import load_dataset
from vae_lesson.models import FeedforwardVAE
from vae_lesson.training import fit, has_bf16

BATCH, HIDDEN, LATENT, PIXELS = 128, 400, 20, 784
ROUNDS = 3  # the fastest of each counts: other work on the machine only adds time


class Tutorial(torch.utils.data.Dataset):
    """What torchvision.datasets.MNIST does for each image."""

    def __init__(self, images):
        self.images, self.transform = images, ToTensor()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index].numpy(), mode=None))


def tutorial_epoch(images) -> float:
    model = FeedforwardVAE(LATENT, hidden=HIDDEN, blocks=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=False, fused=False)
    started, total = time.perf_counter(), 0.0
    for x in DataLoader(Tutorial(images), batch_size=BATCH, shuffle=True):
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


def our_epoch(images, bf16: bool) -> float:
    model = FeedforwardVAE(LATENT, hidden=HIDDEN, blocks=0)
    return fit(model, images, epochs=1, progress=False, bf16=bf16).seconds[0]


def floor(steps: int, dtype) -> float:
    """Seconds of all matrix products of `steps` steps, forward and backward (none back to the image)."""
    seconds = 0.0
    layers = ((PIXELS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, PIXELS))
    for layer, (n_in, n_out) in enumerate(layers):
        x, w = torch.randn(BATCH, n_in, dtype=dtype), torch.randn(n_out, n_in, dtype=dtype)
        y = torch.randn(BATCH, n_out, dtype=dtype)
        products = [lambda x=x, w=w: x @ w.T, lambda x=x, y=y: y.T @ x]
        if layer:  # nobody needs the gradient with respect to the image
            products.append(lambda y=y, w=w: y @ w)
        for product in products:
            product()
            times = []
            for _ in range(100):
                started = time.perf_counter()
                product()
                times.append(time.perf_counter() - started)
            seconds += sorted(times)[len(times) // 4]
    return seconds * steps


if __name__ == "__main__":
    images = load_dataset("mnist")[0].images  # all 60,000
    steps = -(-len(images) // BATCH)
    kinds = {"float32": (False, torch.float32)}
    if has_bf16(torch.device("cpu")):
        kinds["bfloat16"] = (True, torch.bfloat16)
    tutorial, ours = [], {kind: [] for kind in kinds}
    for _ in range(ROUNDS):  # in turns, so that a slow minute of the machine hits all alike
        tutorial.append(tutorial_epoch(images))
        for kind, (bf16, _) in kinds.items():
            ours[kind].append(our_epoch(images, bf16))
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"tutorial loop, float32   {min(tutorial):5.2f} s an epoch of {len(images):,} images")
    for kind, (_, dtype) in kinds.items():
        fastest, least = min(ours[kind]), floor(steps, dtype)
        print(
            f"fit, {kind:8}            {fastest:5.2f} s   tutorial / fit = {min(tutorial) / fastest:.2f}\n"
            f"  matrix products alone  {least:5.2f} s   share of fit's time = {least / fastest:.0%}"
        )
    if "bfloat16" not in kinds:
        print("bfloat16: not in this hardware")
