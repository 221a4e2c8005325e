"""Which part of a goes with which part of b: pair matrices."""
