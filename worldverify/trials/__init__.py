"""Trials: how often a plan passes where the world differs from the model, and when enough of them were run."""
