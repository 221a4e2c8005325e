"""Kinds of input: what of each can be explained, and which pair each part belongs to."""
