"""The runs that lesson 09 shows are those of its nine cases, and show what the lesson says."""

from pathlib import Path

import numpy as np
import pytest
import torch

import vae_lesson
from vae_lesson.checks.patients import Patient

FILE = Path(vae_lesson.__file__).parent / "assets" / "clinic.npz"


@pytest.fixture(scope="module")
def runs():
    with np.load(FILE) as file:
        return dict(file)


def test_the_runs_are_small_and_complete(runs):
    shapes = {"originals": (8, 28, 28), "loss": (10, 11), "kl": (10, 10), "kl_per_latent": (10, 40)}
    shapes |= {name: (10, 8, 28, 28) for name in ("samples", "reconstructions")}
    shapes |= {name: (10,) for name in ("spread", "score", "opinion", "nll")}
    assert {name: array.shape for name, array in runs.items()} == shapes
    assert {name for name, array in runs.items() if array.dtype == np.uint8} == {
        "originals", "samples", "reconstructions",
    }  # fmt: skip
    assert FILE.stat().st_size < 200_000


def test_healthy_runs_agree_with_the_second_opinion_and_keep_the_bound(runs):
    for case in (0, 9):
        assert abs(runs["score"][case] - runs["opinion"][case]) < 1
        assert runs["opinion"][case] > runs["nll"][case] > 80


def test_each_case_has_its_symptom(runs):
    score, opinion, loss = runs["score"], runs["opinion"], runs["loss"]
    assert loss[1, 0] < 1 and opinion[1] > 190 and np.nansum(runs["kl_per_latent"][1]) < 1e-3
    assert loss[2, 0] > 700 and abs(score[2] - 784 * np.log(2)) < 2
    assert (loss[3, 1:] < -1e6).all()
    assert score[4] < runs["nll"][4] - 4 and opinion[4] > score[4] + 15
    assert abs(score[5] - opinion[5]) < 1 and score[5] > score[0] + 80
    assert (runs["samples"][6] == runs["samples"][6, :1]).all() and score[6] > score[0] + 3
    assert abs(score[7] - score[0]) < 2
    assert score[8] > opinion[8] + 5
    assert score[9] < score[0] - 5 and (runs["kl_per_latent"][9] < 0.1).sum() == 17


def test_the_runs_begin_as_the_patients_do(runs):
    x = (torch.rand(200, 784) < 0.13).float()
    for case in range(10):
        torch.manual_seed(0)
        assert Patient(case).train_step(x) == pytest.approx(runs["loss"][case, 0], rel=0.03, abs=0.1)
