"""What the page asks: requests in, answers and errors out, many visitors at once."""
