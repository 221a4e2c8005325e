"""Pairs, checked and ready: the value explained, its gradients, and how the model uses its modules on them."""
