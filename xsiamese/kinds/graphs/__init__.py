"""Graphs of torch_geometric as a kind of input."""
