"""Training of the image zoo on Lightning."""
