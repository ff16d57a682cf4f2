"""Judges of the exercises: each tries a student's function on random inputs and answers in one line.

`print(checks.entropy(my_entropy))` prints "not attempted yet", "not yet: " with a hint, or "correct".
"""

from vae_lesson.checks import (
    clinic,
    coding,
    convolutions,
    divergence,
    entropies,
    grey,
    inference,
    latent,
    networks,
    rates,
    ready,
    scores,
    writing,
)
from vae_lesson.checks.judge import CORRECT as CORRECT
from vae_lesson.checks.judge import NOT_ATTEMPTED as NOT_ATTEMPTED
from vae_lesson.checks.judge import judge_of

rows_shifted = judge_of(ready.rows_shifted)
mean_picture = judge_of(ready.mean_picture)
uniform_density = judge_of(ready.uniform_density)
area_under = judge_of(ready.area_under)
slope = judge_of(ready.slope)
linear_layer = judge_of(ready.linear_layer)
three_steps = judge_of(ready.three_steps)
best_question = judge_of(coding.best_question)
can_be_a_code = judge_of(coding.can_be_a_code)
image_information = judge_of(coding.image_information)
code_lengths = judge_of(coding.code_lengths)
pack_boxes = judge_of(coding.pack_boxes)
huffman_mean_length = judge_of(coding.huffman_mean_length)
entropy = judge_of(entropies.entropy)
three_bits = judge_of(entropies.three_bits)
second_pixel = judge_of(entropies.second_pixel)
lopsided = judge_of(divergence.lopsided)
gaussians_kl = judge_of(divergence.gaussians_kl)
best_gaussian = judge_of(divergence.best_gaussian)
two_drawings = judge_of(inference.two_drawings)
proposal = judge_of(inference.proposal)
log_marginal = judge_of(inference.log_marginal)
raise_the_elbo = judge_of(inference.raise_the_elbo)
repaired_elbo = judge_of(inference.repaired_elbo)
bit_gradient = judge_of(inference.bit_gradient)
best_baseline = judge_of(inference.best_baseline)
hard_for_slopes = judge_of(inference.hard_for_slopes)
two_sample_bound = judge_of(inference.two_sample_bound)
loose_then_tight = judge_of(inference.loose_then_tight)
sample_weights = judge_of(inference.sample_weights)
vae_elbo = judge_of(networks.vae_elbo)
stroke_kernel = judge_of(convolutions.stroke_kernel)
even_layer = judge_of(convolutions.even_layer)
enlarge = judge_of(convolutions.enlarge)
count_grey = judge_of(grey.count_grey)
hidden_variance = judge_of(grey.hidden_variance)
log_mass = judge_of(grey.log_mass)
equal_price = judge_of(rates.equal_price)
exactly_k = judge_of(rates.exactly_k)
repaired_charge = judge_of(rates.repaired_charge)
train_step = judge_of(writing.train_step)
honest_score = judge_of(writing.honest_score)
from_an_empty_file = writing.from_an_empty_file
find_code = judge_of(latent.find_code)
enough_samples = judge_of(scores.enough_samples)
tilted_gaussian = judge_of(scores.tilted_gaussian)
mistake_in_a_report = judge_of(scores.mistake_in_a_report)
find_code = judge_of(latent.find_code)
even_walk = judge_of(latent.even_walk)
within_classes = judge_of(latent.within_classes)
old_gradients = judge_of(clinic.old_gradients)
name_the_case = judge_of(clinic.name_the_case)
mended_step = judge_of(clinic.mended_step)
