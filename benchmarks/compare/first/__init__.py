"""A first prediction as one writes it with each program.

    python -m benchmarks.compare.first.PROGRAM NETWORK IMAGE THREADS

NETWORK is a folder as `protocol.read_network` has it, IMAGE a file with one image (1, H, W, C). Logits go to stdout.
"""
