"""The fast level: arrays in, arrays out."""
