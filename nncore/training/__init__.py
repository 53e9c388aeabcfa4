"""What surrounds the five lines of learning: options, the run's folder, measuring, reporting."""
