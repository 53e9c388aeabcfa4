"""What `make bench` runs: nncore beside other programs, which take turns on one machine."""
