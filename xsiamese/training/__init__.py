"""Training of the zoo on Lightning: images, graphs and rows of tables."""
