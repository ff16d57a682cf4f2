"""Judges of the exercises: each tries a student's function on random inputs and answers in one line.

`print(checks.entropy(my_entropy))` prints "not attempted yet", "not yet: " with a hint, or "correct".
"""

from vae_lesson.checks import coding, divergence, inference, latent, networks
from vae_lesson.checks.judge import CORRECT as CORRECT
from vae_lesson.checks.judge import NOT_ATTEMPTED as NOT_ATTEMPTED
from vae_lesson.checks.judge import judge_of

nats_to_bits = judge_of(coding.nats_to_bits)
surprise_in_bits = judge_of(coding.surprise_in_bits)
image_information = judge_of(coding.image_information)
shannon_lengths = judge_of(coding.shannon_lengths)
huffman_mean_length = judge_of(coding.huffman_mean_length)
entropy = judge_of(coding.entropy)
mutual_information = judge_of(coding.mutual_information)
pixel_score = judge_of(coding.pixel_score)
gaussian_entropy = judge_of(coding.gaussian_entropy)
kl = judge_of(divergence.kl)
gaussians_kl = judge_of(divergence.gaussians_kl)
kl_from_samples = judge_of(divergence.kl_from_samples)
best_gaussian = judge_of(divergence.best_gaussian)
posterior = judge_of(inference.posterior)
log_marginal = judge_of(inference.log_marginal)
effective_sample_size = judge_of(inference.effective_sample_size)
importance_sampled_log_px = judge_of(inference.importance_sampled_log_px)
elbo_by_enumeration = judge_of(inference.elbo_by_enumeration)
linear_gaussian_posterior = judge_of(inference.linear_gaussian_posterior)
score_function_gradient = judge_of(inference.score_function_gradient)
vae_elbo = judge_of(networks.vae_elbo)
reparameterize = judge_of(networks.reparameterize)
log_px_given_z = judge_of(networks.log_px_given_z)
gaussian_kl = judge_of(networks.gaussian_kl)
active_units = judge_of(networks.active_units)
conv_parameters = judge_of(networks.conv_parameters)
conv_size = judge_of(networks.conv_size)
log_mean_exp = judge_of(inference.log_mean_exp)
free_bits = judge_of(networks.free_bits)
decoded_entropy = judge_of(coding.decoded_entropy)
find_code = judge_of(latent.find_code)
slerp = judge_of(latent.slerp)
attribute_direction = judge_of(latent.attribute_direction)
