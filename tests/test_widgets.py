"""Sliders move pictures and sentences, without a browser; test_browser.py does it with one."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from vae_lesson.widgets import slide, to_png


def pixels_of(png: bytes):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_each_move_draws_the_picture_and_the_sentence():
    box = slide(
        lambda p, n: (torch.full((28, 28), p), f"p = {p:.2f}, n = {n}"), p=(0.0, 1.0, 0.01), n=(1, 9, 1)
    )
    for p in (0.0, 0.25, 1.0):
        box.sliders["p"].value = p
        assert (pixels_of(box.image.value) == round(255 * p)).all()
        assert box.text == f"p = {p:.2f}, n = 5" and box.text in box.sentence.value
    box.sliders["n"].value = 8
    assert box.text.endswith("n = 8")
    assert box.sliders["p"].continuous_update and box.sliders["p"].description == "p"


def test_every_position_of_a_slider_answers():
    seen = []
    box = slide(lambda k: (seen.append(k) or torch.zeros(2, 2), str(k)), k=(0, 20, 1))
    for k in range(21):
        box.sliders["k"].value = k
        assert box.text == str(k)
    assert set(seen) == set(range(21))


def test_a_kept_figure_is_redrawn():
    figure, axis = plt.subplots()
    (line,) = axis.plot([0, 1], [0, 1])
    plt.close(figure)

    def draw(slope):
        line.set_ydata([0, slope])
        return figure, f"slope {slope}"

    box = slide(draw, slope=(0.0, 1.0, 0.1))
    before = pixels_of(box.image.value)
    box.sliders["slope"].value = 1.0
    assert (pixels_of(box.image.value) != before).any()


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
            pixels = pixels_of(to_png(figure))
        return pixels.astype(int)

    difference = abs(drawn(True) - drawn(False))
    # What is animated is drawn above the frame and not below it: only pixels of the frame may differ.
    assert (difference.max(-1) > 0).mean() < 0.01
    assert (drawn(True) < 250).any()


def test_plain_text_is_the_sentence_and_marks_are_escaped():
    box = slide(lambda p: (torch.zeros(2, 2), "p < 1 & p > 0"), p=(0.0, 1.0, 0.1))
    assert repr(box) == "[p] p < 1 & p > 0"
    assert "p &lt; 1 &amp; p &gt; 0" in box.sentence.value


def test_a_mistake_in_draw_is_told_where_it_happens():
    with pytest.raises(ZeroDivisionError):
        slide(lambda p: (torch.zeros(2, 2), 1 / 0), p=(0.0, 1.0, 0.1))
    box = slide(lambda p: (torch.zeros(2, 2), f"{1 / (p - 1):.1f}"), p=(0.0, 1.0, 0.1))
    with pytest.raises(ZeroDivisionError):
        box.sliders["p"].value = 1.0
    assert "could not be drawn" in box.sentence.value


@pytest.mark.parametrize("bad", [(1.0, 0.0, 0.1), (0.0, 1.0, 0.0), (0.0, 1.0, 2.0)])
def test_empty_ranges_are_refused(bad):
    with pytest.raises(ValueError, match=r"p needs \(lowest, highest, step\)"):
        slide(lambda p: (torch.zeros(2, 2), ""), p=bad)


def test_pixels_keep_their_values():
    grey = torch.randint(0, 256, (5, 7), dtype=torch.uint8)
    assert (pixels_of(to_png(grey)) == grey.numpy()).all()
    assert (pixels_of(to_png(grey[None] / 255)) == grey.numpy()).all()
    colour = torch.randint(0, 256, (5, 7, 3), dtype=torch.uint8)
    assert (pixels_of(to_png(colour.numpy())) == colour.numpy()).all()
    with pytest.raises(ValueError, match=r"pixels of shape \(H, W\) or \(H, W, 3\); got \(2, 3, 4, 5\)"):
        to_png(torch.zeros(2, 3, 4, 5))


def test_live_curves_follow_the_history():
    from vae_lesson.training import History
    from vae_lesson.widgets import LiveCurves

    live = LiveCurves("Training")
    assert repr(live) == "[live curves: Training]" and bytes(live.image.value) == b""
    history = History(elbo=[-200.0], log_px_given_z=[-190.0], kl=[10.0])
    live(history)
    first = bytes(live.image.value)
    assert first.startswith(b"\x89PNG") and "After epoch 1: ELBO -200.0 = -190.0" in live.sentence.value
    for values, new in ((history.elbo, -150.0), (history.log_px_given_z, -138.0), (history.kl, 12.0)):
        values.append(new)
    live(history)
    assert bytes(live.image.value) != first and "After epoch 2: ELBO -150.0" in live.sentence.value
