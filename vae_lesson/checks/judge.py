"""The engine of all exercises: it tries a student's function and answers in one line."""

import dis
import traceback
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

CORRECT = "correct"
NOT_ATTEMPTED = "not attempted yet"
TOLERANCE = 1e-4  # relative and absolute; float32 misses less than a tenth, slips miss more than ten times

# One trial of a student's function: its inputs (tensors arrive as float32, as everywhere in the course), and
# verdict -> the answer that earns it. The truth earns CORRECT and is found in another way than the student
# is asked to. Every other verdict is a hint: it names a slip, and its answer is what the slip returns.
# An answer is what `numbers` takes, or AnyOf several, or a test of the student's answer as a float64 tensor.
Case = tuple[tuple, dict[str, object]]


class AnyOf(tuple):
    """Several answers that earn the same verdict, such as a deviation over K and one over K - 1."""


def judge_of(draw: Callable[[Generator], Case | list[Case]]) -> Callable[..., str]:
    """The judge of an exercise; draw makes its case, or its cases, with random numbers of a generator."""

    def judge(attempt: Callable, rng: Generator | None = None) -> str:
        if rng is None:
            rng = torch.Generator()  # its own: a try must not change later numbers of the notebook
            rng.seed()
        with torch.random.fork_rng(devices=[]):  # nor may the networks of a case, or the student's function
            cases = draw(rng)
            verdicts = (verdict(attempt, *case) for case in (cases if isinstance(cases, list) else [cases]))
            return next((answer for answer in verdicts if answer != CORRECT), CORRECT)

    judge.__name__, judge.__doc__, judge.draw = draw.__name__, draw.__doc__, draw
    return judge


def verdict(attempt: Callable, inputs: tuple, answers: dict[str, object]) -> str:
    """Not attempted yet, correct, or "not yet" with a hint that names the likely slip; never an exception."""
    inputs = tuple(v.to(torch.float32, copy=True) if torch.is_tensor(v) else v for v in inputs)
    result, reply = tried(attempt, inputs)
    if reply:
        return reply
    try:
        value = numbers(result)
    except Exception:  # whatever a student's object raises when it is read
        return f"not yet: expected real numbers (a tensor, an array or a list), got {type(result).__name__}"
    earned = next((name for name, answer in answers.items() if matches(value, answer)), None)
    return CORRECT if earned == CORRECT else f"not yet: {earned or difference(value, answers[CORRECT])}"


def tried(attempt: Callable, inputs: tuple) -> tuple[object, str]:
    """What a student's function returns; and the reply, or "" if it returned something to be judged."""
    if not callable(attempt):
        return None, "not yet: give the judge your function itself, without calling it"
    try:
        result = attempt(*inputs)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:  # PyTorch's own have a message
            return None, NOT_ATTEMPTED
        message = traceback.format_exception_only(error)[-1]
        return None, f"not yet: your function stopped with {' '.join(message.split())}"
    if result is ... or (result is None and is_stub(attempt)):
        return None, NOT_ATTEMPTED
    if result is None:
        return None, "not yet: your function returns nothing: is the last line a `return`?"
    return result, ""


def numbers(answer: object) -> Tensor:
    """The answer as a float64 tensor, whatever it is made of; TypeError if it is not made of real numbers."""
    if isinstance(answer, Tensor):
        if answer.is_complex():
            raise TypeError("complex numbers")
        return answer.detach().cpu().to_dense().double()
    if isinstance(answer, list | tuple):
        return torch.stack([numbers(part) for part in answer])
    array = np.asarray(answer)
    if array.dtype.kind not in "biuf":  # bool, integers, floats
        raise TypeError(f"no real numbers: {array.dtype}")
    return torch.from_numpy(array.astype(np.float64, order="C"))


def matches(value: Tensor, answer: object) -> bool:
    if callable(answer):
        return bool(answer(value))
    options = map(numbers, answer if isinstance(answer, AnyOf) else [answer])
    return any(value.shape == option.shape and bool(close(value, option).all()) for option in options)


def close(value: Tensor, truth: Tensor) -> Tensor:
    return torch.isclose(value, truth, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def difference(value: Tensor, answer: object) -> str:
    """What to say of an answer that is no known slip: its shape, or the first number that differs."""
    truth = numbers(answer[0] if isinstance(answer, AnyOf) else answer)
    if value.shape != truth.shape:
        few = f"{truth.numel()} values are asked"
        advice = "is a sum or a mean missing?" if value.numel() > truth.numel() else few
        return f"expected shape {tuple(truth.shape)}, got {tuple(value.shape)}: {advice}"
    place = tuple((~close(value, truth)).nonzero()[0].tolist())
    where = f" at {list(place)}" if place else ""
    return f"expected {truth[place].item():.6g}{where}, got {value[place].item():.6g}"


def is_stub(attempt: Callable) -> bool:
    """Whether the function's body does nothing: `...`, `pass`, a docstring or `return None`."""
    code = getattr(attempt, "__code__", None)
    empty = {step.opname for step in dis.get_instructions(lambda: None)} | {"NOP"}
    return code is not None and {step.opname for step in dis.get_instructions(code)} <= empty
