"""From a picture file to the digits in it."""
