"""How every judge answers: not attempted, correct, or a hint that names the likely slip."""

from collections.abc import Callable

import torch
from torch import Tensor

NOT_ATTEMPTED = "not attempted yet"
CORRECT = "correct"


def judge(
    attempt: Callable, inputs: tuple, truth: Tensor, slips: dict[str, Tensor], *, tolerance: float = 1e-4
) -> str:
    """One line: not attempted, correct, or a hint; slips maps a hint to what the slip would return."""
    result, verdict = called(attempt, inputs)
    if verdict:
        return verdict
    try:
        result = torch.as_tensor(result)
    except (TypeError, ValueError, RuntimeError):
        return f"not yet: expected a tensor or a number, got {type(result).__name__}"
    if same(result, truth, tolerance):
        return CORRECT
    for hint, wrong in slips.items():
        if same(result, wrong, tolerance):
            return f"not yet: {hint}"
    if result.shape != truth.shape:
        return f"not yet: expected shape {tuple(truth.shape)}, got {tuple(result.shape)}"
    return (
        f"not yet: expected {truth.flatten()[0].item():.4f} for the first value, "
        f"got {result.flatten()[0].item():.4f}"
    )


def called(attempt: Callable, inputs: tuple) -> tuple[object, str]:
    """What the student's function returns for copies of the inputs, and a verdict if that is nothing."""
    try:
        result = attempt(*(value.clone() if isinstance(value, Tensor) else value for value in inputs))
    except NotImplementedError:
        return None, NOT_ATTEMPTED
    except Exception as error:
        return None, f"not yet: your function stopped with {type(error).__name__}: {error}"
    return result, NOT_ATTEMPTED if result is None or result is Ellipsis else ""


def same(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and torch.allclose(
        a.double(), b.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )
