"""The tasks and the Gymnasium face."""
