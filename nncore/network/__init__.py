"""Networks: layers in a row, fused into steps, described, saved and loaded."""
