"""The page on which you draw a digit and see it read, by the same engine that was trained."""
