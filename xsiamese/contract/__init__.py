"""The points of the contract, by what they look at."""
