"""The scheduler: which plan is simulated next, in which lane, and how far."""
