"""Digits and other things as strokes of a pen: read from files, or drawn by program."""
