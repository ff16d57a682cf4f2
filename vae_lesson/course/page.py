"""The latent plane as one HTML file that needs nothing: the browser itself decodes the digits."""

import base64
import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_lesson import checkpoints, data, models, plots, scoring

TEMPLATE = Path(__file__).with_name("page.html")
PAD = Path(__file__).parents[1] / "widgets" / "pad.js"  # the same file as in the notebooks
EVERY = 10  # of the 10,000 test digits: 1,000 numerals fill the plane and still leave the tiles visible
WAY_OUT = "use feedforward-2d, or train a FeedforwardVAE(latent_dim=2)"


def write(path: str | Path, model=None, *, reach: float = 3.0) -> Path:
    """Write the page of a model to an .html file; the file appears whole or not at all.

    model, reach: see `html`.  Returns the path.
    Raises ValueError for another kind of file name or model, OSError when it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".html":  # a slip must not replace somebody's weights
        raise ValueError(f"a page is an .html file; got {path}: name it {path.with_suffix('.html').name}")
    checkpoints.write_whole(path, html(model, reach=reach).encode("utf-8"))
    return path


def html(model=None, *, reach: float = 3.0) -> str:
    """The page as text: the plane of two latents, sliders, the decoded digit, weights and code inside.

    model: pretrained("feedforward-2d"), or one with two latents, Bernoulli pixels and a decoder of Linear,
    SiLU and Residual layers.  reach: the plane is [-reach, reach]^2, in prior standard deviations.
    Weights are stored as float16: of the shipped files, which hold float16 too, nothing is lost.
    Raises ValueError when the model or reach does not fit.
    """
    if not 0 < reach < math.inf:
        raise ValueError(f"reach must be a positive number of standard deviations; got {reach}")
    model = checkpoints.pretrained("feedforward-2d") if model is None else model
    latents, pixels, side = model.latent_dim, model.likelihood.name, getattr(model, "side", 28)
    if (latents, pixels, side) != (2, "bernoulli", 28):
        raise ValueError(
            "a page needs a model with 2 latents and 28 x 28 bernoulli pixels; this "
            f"{type(model).__name__} has {latents} latents and {side} x {side} {pixels} pixels: {WAY_OUT}"
        )
    weights: list[Tensor] = []
    layers = [_layer(layer, weights) for layer in model.decoder.children()]
    numbers = torch.cat([w.detach().flatten() for w in weights])
    content = {"reach": reach, "colors": plots.COLORS, "layers": layers, "weights": _halves(numbers)}
    content |= _codes(model)
    pad = PAD.read_text(encoding="utf-8").replace("export default { render };", "return render;")
    filled = TEMPLATE.read_text(encoding="utf-8")
    for place, text in {"pad": pad, "content": json.dumps(content), "count": f"{len(numbers):,}"}.items():
        filled = filled.replace("{{" + place + "}}", text)
    return filled


def _layer(layer: nn.Module, weights: list[Tensor]) -> list:
    """A layer as the page reads it: its kind and sizes; its numbers go to the end of `weights`."""
    if type(layer) is nn.Linear and layer.bias is not None:
        weights += [layer.weight, layer.bias]
        return ["linear", layer.in_features, layer.out_features]
    if type(layer) is nn.SiLU:
        return ["silu"]
    if type(layer) is models.Residual:
        return ["residual", [_layer(inner, weights) for inner in layer.f.children()]]
    raise ValueError(
        "a page needs a decoder of Linear, SiLU and Residual layers, as FeedforwardVAE has; "
        f"this one has {type(layer).__name__}: {WAY_OUT}"
    )


@torch.inference_mode()
def _codes(model) -> dict:
    """Where the encoder puts every tenth test digit, and which digit each is, one character each."""
    test = data.load_dataset("mnist")[1]
    x = data.binarize(test.images[::EVERY], "static").to(next(model.parameters()).device)
    mu, _ = scoring.encode_in_chunks(model, x)  # (1000, 2)
    return {"codes": _halves(mu.flatten()), "labels": "".join(map(str, test.labels[::EVERY].tolist()))}


def _halves(numbers: Tensor) -> str:
    """Numbers as float16, little-endian, in base64."""
    halves = numbers.float().cpu().half()
    if not halves.isfinite().all():
        raise ValueError("this model has weights or codes that are NaN or beyond 65504: train it again")
    return base64.b64encode(halves.numpy().astype("<f2").tobytes()).decode()
