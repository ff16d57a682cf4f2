"""Judges of the exercises: each tries a student's function on random inputs and answers in one line."""

from vae_lesson.checks.coding import (
    entropy,
    gaussian_entropy,
    huffman_mean_length,
    image_information,
    mutual_information,
    nats_to_bits,
    pixel_score,
    shannon_lengths,
    surprise_in_bits,
)
from vae_lesson.checks.divergence import best_gaussian, gaussians_kl, kl, kl_from_samples
from vae_lesson.checks.inference import (
    effective_sample_size,
    elbo_by_enumeration,
    importance_sampled_log_px,
    linear_gaussian_posterior,
    log_marginal,
    posterior,
    score_function_gradient,
    vae_elbo,
)
from vae_lesson.checks.judge import CORRECT, NOT_ATTEMPTED
from vae_lesson.checks.latent import attribute_direction, decoded_entropy, find_code, slerp
from vae_lesson.checks.networks import (
    active_units,
    conv_parameters,
    conv_size,
    free_bits,
    gaussian_kl,
    log_mean_exp,
    log_px_given_z,
    reparameterize,
)

__all__ = [
    "CORRECT",
    "NOT_ATTEMPTED",
    "active_units",
    "attribute_direction",
    "best_gaussian",
    "conv_parameters",
    "conv_size",
    "decoded_entropy",
    "effective_sample_size",
    "elbo_by_enumeration",
    "entropy",
    "find_code",
    "free_bits",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussians_kl",
    "huffman_mean_length",
    "image_information",
    "importance_sampled_log_px",
    "kl",
    "kl_from_samples",
    "linear_gaussian_posterior",
    "log_marginal",
    "log_mean_exp",
    "log_px_given_z",
    "mutual_information",
    "nats_to_bits",
    "pixel_score",
    "posterior",
    "reparameterize",
    "score_function_gradient",
    "shannon_lengths",
    "slerp",
    "surprise_in_bits",
    "vae_elbo",
]
