"""Galleries: many items, each encoded once, and the explanations of any pairs of them."""
