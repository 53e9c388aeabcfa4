"""nncore beside other programs, measured on one machine in one run."""
