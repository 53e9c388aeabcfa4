"""The page that shows one digit inside the network."""
