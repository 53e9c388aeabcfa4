"""SIMD vectors and the product of matrices that is made of them."""
