"""Requests that mean no good, made by program from a seed, and what the demo answers to them."""
