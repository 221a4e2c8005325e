"""The door: hooks, and the registry that finds who implements them."""
