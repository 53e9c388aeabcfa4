"""Looking inside: a digit on its way through a network, and a step of training in words."""
