"""A stand-in for Replicate: an HTTP server whose account has jobs that move, fail, end and are forgotten.

It knows nothing of the product. The product reaches it as it reaches Replicate: by URL and token.
"""

DEFAULT_TOKEN = "sandbox-token-not-a-secret"
"""Accepted unless another token is given. It opens nothing but a simulation."""
