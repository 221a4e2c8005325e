"""Black-box maps of a and of b as read-outs of one run of masks."""
