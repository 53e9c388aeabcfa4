"""What explains the speed and the accuracy: one command each, python -m benchmarks.studies.NAME."""
