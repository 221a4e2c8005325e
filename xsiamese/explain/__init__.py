"""Explainers: the one interface, what a user asks of it, and captum's algorithms behind it."""
