"""Exercises of lessons 00 to 02, 08 and codes: information, codes, entropy and what follows from them."""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.distributions import Bernoulli, Categorical

from vae_lesson.checks.judge import CORRECT, Case
from vae_lesson.checks.shared import pictures, probabilities, uniform, unless

LOG_2 = math.log(2)
SIGN = "the sign: information and entropy are never negative here"
NATS = "these are nats: divide by log 2, or use torch.log2"
BITS = "these are bits: nats use the natural logarithm"
DIGITS = "log 10 gives decimal digits; bits need log 2"
MEAN = "did you average over pixels? The information of independent pixels adds up"
NAN = "0 * log(0) gave nan: it counts as 0; use torch.xlogy or torch.special.entr"


def best_question(rng: Generator) -> Case:
    """attempt(p (n,), yes (Q, n) in {0, 1}) -> the number of the question that tells most, on average."""
    while True:  # until each slip chooses another question, and no other is nearly as good as the best
        p = probabilities(rng, 8) ** 2
        p, yes = p / p.sum(), torch.bernoulli(uniform(rng, 0.5, 0.5, 6, 8), generator=rng)
        of_yes, even = yes @ p, -(yes.mean(1) - 0.5).abs()
        tells = Bernoulli(of_yes.clamp(0, 1)).entropy()
        values = tells, even, of_yes, -of_yes
        clear = all(value.sort().values[-2:].diff() > 0.02 for value in values)
        if clear and len({int(value.argmax()) for value in values}) == 4 and tells.min() > 0.01:
            break
    return (p, yes), {
        CORRECT: tells.argmax(),
        "do not count the things: weigh each with its probability": even.argmax(),
        "the yes of that question is the surest: what you expect tells little": of_yes.argmax(),
        "the yes of that question is the rarest: it would surprise you, but it seldom comes": of_yes.argmin(),
        "one number is asked: which question": lambda v: v.dim() > 0,
    }


def can_be_a_code(rng: Generator) -> list[Case]:
    """attempt(lengths (n,)) -> whether there is a prefix code with words of these lengths."""
    hints = {
        (1, 1, 3): "two words of length 1 leave no place for a third, however long it is",
        (1, 2, 2, 3): "look at all boxes together: here three of them fill the interval already",
        (1, 2, 3, 3): "these words exist: their boxes fill the interval exactly",
        (1, 2, 3, 4, 4, 5): "no such words exist: their boxes are just a little wider than the interval",
        (2, 2, 2, 4, 5): "these words exist: their boxes leave a part of the interval empty",
    }
    return [
        (
            (torch.tensor(lengths)[torch.randperm(len(lengths), generator=rng)],),
            {CORRECT: words_exist(lengths), hint: not words_exist(lengths)},
        )
        for lengths, hint in hints.items()
    ]


def words_exist(lengths: Sequence[int]) -> bool:
    """Whether words of these lengths can be found, none the beginning of another: by looking for them."""
    words = []
    for length in sorted(lengths):
        every = map("".join, itertools.product("01", repeat=length))
        words.append(next((word for word in every if not word.startswith(tuple(words))), None))
        if words[-1] is None:
            return False
    return True


def image_information(rng: Generator) -> Case:
    """attempt(x (B, D) in {0, 1}, p (D,)) -> information of each image in nats (B,), independent pixels."""
    p = uniform(rng, 0.05, 0.95, 784)
    x = pictures(rng, 3, p)
    pixels = -Bernoulli(p).log_prob(x)
    return (x, p), {
        CORRECT: pixels.sum(-1),
        MEAN: pixels.mean(-1),
        SIGN: -pixels.sum(-1),
        "the product of so many probabilities is 0 for the computer: add their logarithms": [math.inf] * 3,
        "a black pixel has information too: it has probability 1 - p": (x * pixels).sum(-1),
        "p is the probability of white (x = 1): you gave it to black": -Bernoulli(1 - p).log_prob(x).sum(-1),
    }


def code_lengths(rng: Generator) -> Case:
    """attempt(p (n,)) -> lengths (n,) of a prefix code whose mean length is below the information + 1 bit."""
    while True:  # until lengths in nats, or rounded, are too short, and no surprise is nearly whole
        p = 0.5 ** torch.randperm(10, generator=rng) * uniform(rng, 0.7, 1.4, 10)
        p = p / p.sum()
        bits = -p.log2()
        short = [bits.round().clamp(min=1), (bits * LOG_2).ceil()]
        if all((0.5**v).sum() > 1 for v in short) and (bits - bits.round()).abs().min() > 0.01:
            break
    return (p,), unless(
        {
            "one length for each probability is asked: shape (10,)": lambda v: v.shape != p.shape,
            "a length is a whole number of bits, at least 1": lambda v: not ((v % 1 == 0) & (v > 0)).all(),
            "these words are too short: their boxes are wider than the interval": lambda v: sum(0.5**v) > 1,
            "too long: the mean is a whole bit or more above the information": lambda v: p @ (v - bits) >= 1,
        }
    )


def pack_boxes(rng: Generator) -> Case:
    """attempt(lengths (n,)) -> where the boxes of the words of a prefix code begin (n,)."""
    lengths = torch.tensor([1, 3, 3, 3, 4, 4])
    while ((0.5**lengths).cumsum(0) * 2**lengths % 1 == 0).all():  # side by side, as they come, they fit
        lengths = lengths[torch.randperm(6, generator=rng)]
    width = 0.5 ** lengths.double()
    return (lengths,), unless(
        {
            "one start for each length is asked: shape (6,)": lambda v: v.shape != width.shape,
            "a box leaves the unit interval": lambda v: not ((v >= 0) & (v + width <= 1)).all(),
            "a box of a word begins at 0, 1, 2, ... times its own width": lambda v: (v / width % 1 > 0).any(),
            "two boxes overlap: one of the two words begins the other": lambda v: (
                ((v[:, None] <= v) & (v < (v + width)[:, None])).sum() > len(v)
            ),
        }
    )


def huffman_mean_length(rng: Generator) -> list[Case]:
    """attempt(p (n,)) -> mean length of the best prefix code, in bits."""
    # In the first neither a balanced tree is best nor one that grows at one end; in the second the latter is.
    return [huffman_case(rng, [15, 7, 6, 6, 5]), huffman_case(rng, [45, 25, 14, 10, 7])]


def huffman_case(rng: Generator, weights: list[int]) -> Case:
    p = torch.tensor(weights)[torch.randperm(5, generator=rng)] * uniform(rng, 0.97, 1.03, 5)
    p = p / p.sum()
    lengths = torch.tensor(list(itertools.product(range(1, 5), repeat=5)), dtype=torch.float64)
    possible = (0.5**lengths).sum(-1) <= 1  # Kraft's inequality: there is a prefix code of these lengths
    truth = (lengths[possible] @ p).min()  # the best of all 1024 tries, not Huffman's algorithm
    return (p,), {
        CORRECT: truth,
        "that is the entropy: a code of whole bits is a little longer": Categorical(p).entropy() / LOG_2,
        "those are Shannon's lengths: correct but not the shortest code": p @ (-p.log2()).ceil(),
        "merge the two smallest, not the two largest": merged(p, lambda w: sorted(w, reverse=True)),
        "sort again after each merge: the merged pair may not be the smallest any more": merged(p, list),
        "count the last merge too: it puts one bit in front of every symbol": truth - 1,
        "add the two merged probabilities at each merge; you seem to count merges": 4.0,
    }


def merged(p: Tensor, arrange: Callable[[list], list]) -> float:
    """The sum of all merged weights if the first two are merged each time and `arrange` orders the list."""
    weights, total = arrange(sorted(p.tolist())), 0.0
    while len(weights) > 1:
        pair = weights[0] + weights[1]
        total += pair
        weights = arrange([pair, *weights[2:]])
    return total
