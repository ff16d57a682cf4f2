"""Sliders move pictures and sentences, without a browser; test_browser.py does it with one."""

import gc
import io
import weakref

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from vae_lesson.training import History
from vae_lesson.widgets import LiveCurves, slide, to_png


def pixels_of(png: bytes):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_every_place_of_every_slider_draws_its_picture_and_its_sentence():
    box = slide(
        lambda p, n: (torch.full((28, 28), p), f"p = {p:.2f}, n = {n}"), p=(0.0, 1.0, 0.25), n=(1, 9, 1)
    )
    for p in (0.0, 0.25, 0.5, 0.75, 1.0):
        for n in range(1, 10):
            box.sliders["p"].value, box.sliders["n"].value = p, n
            assert (pixels_of(box.image.value) == round(255 * p)).all()
            assert box.text == box.sentence.value == f"p = {p:.2f}, n = {n}"
            assert repr(box) == f"[p, n] {box.text}"
    assert box.sliders["p"].continuous_update and box.sliders["p"].description == "p"


def test_an_animated_figure_shows_what_a_full_drawing_shows():
    def drawn(animated):
        figure, axis = plt.subplots(figsize=(4, 3))
        axis.set(title="title", xlim=(0, 1), ylim=(0, 1))
        (line,) = axis.plot([], [], animated=animated)
        (bar,) = axis.bar([0.5], [0.1], animated=animated)
        text = axis.text(0.1, 0.9, "", animated=animated)
        plt.close(figure)
        for height in (0.9, 0.4):  # the second picture keeps nothing of the first
            line.set_data([0, 1], [0, height])
            bar.set_height(height)
            text.set_text(f"{height}")
            pixels = pixels_of(to_png(figure)).astype(int)
        axis.set_title("another")  # what is not animated may change too
        return pixels, pixels_of(to_png(figure)).astype(int)

    for fast, whole in zip(drawn(True), drawn(False), strict=True):
        # What is animated is drawn above the frame and not below it: only pixels of the frame may differ.
        assert (abs(fast - whole).max(-1) > 0).mean() < 0.01 and (fast < 250).any()
    before, after = drawn(True)
    assert (before != after).any()


def test_a_kept_figure_is_forgotten_with_its_slider():
    """A cell that is run again makes another figure; the first one must not stay in memory."""
    figure, axis = plt.subplots()
    (line,) = axis.plot([0, 1], animated=True)
    plt.close(figure)
    to_png(figure)
    gone = weakref.ref(figure)
    del figure, axis, line
    gc.collect()
    assert gone() is None


def test_a_mistake_in_draw_is_told_where_it_happens():
    with pytest.raises(ZeroDivisionError):
        slide(lambda p: (torch.zeros(2, 2), 1 / 0), p=(0.0, 1.0, 0.1))
    box = slide(lambda p: (torch.zeros(2, 2), f"{1 / (p - 1):.1f}"), p=(0.0, 1.0, 0.1))
    with pytest.raises(ZeroDivisionError):
        box.sliders["p"].value = 1.0
    assert "could not be drawn" in box.text
    for bad in ((1.0, 0.0, 0.1), (0.0, 1.0, 0.0), (0.0, 1.0, 2.0)):
        with pytest.raises(ValueError, match=r"p needs \(lowest, highest, step\)"):
            slide(lambda p: (torch.zeros(2, 2), ""), p=bad)


def test_pixels_keep_their_values():
    grey = torch.randint(0, 256, (5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for same in (grey, grey[None] / 255, (grey / 255).requires_grad_(), (grey / 255).tolist()):
        assert (pixels_of(to_png(same)) == grey.numpy()).all()
    colour = torch.stack([grey, grey.flip(0), grey.flip(1)], -1)
    assert (pixels_of(to_png(colour.numpy())) == colour.numpy()).all()
    with pytest.raises(ValueError, match=r"pixels of shape \(H, W\) or \(H, W, 3\); got \(2, 3, 4, 5\)"):
        to_png(torch.zeros(2, 3, 4, 5))


def test_live_curves_follow_the_history():
    live = LiveCurves("Training")
    assert repr(live) == "[LiveCurves] Training: no epoch yet" and bytes(live.image.value) == b""
    history = History(elbo=[-200.0], log_px_given_z=[-190.0], kl=[10.0])
    live(history)
    first = bytes(live.image.value)
    assert "After epoch 1: ELBO -200.0 = -190.0 (reconstruction) - 10.0 (KL)" in live.text
    for values, new in ((history.elbo, -150.0), (history.log_px_given_z, -138.0), (history.kl, 12.0)):
        values.append(new)
    live(history)
    assert bytes(live.image.value) != first and "After epoch 2: ELBO -150.0" in live.text
