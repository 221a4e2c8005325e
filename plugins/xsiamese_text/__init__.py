"""Pairs of texts: sentence encoders, token and word maps."""
