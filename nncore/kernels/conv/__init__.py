"""Convolution, by several algorithms."""
