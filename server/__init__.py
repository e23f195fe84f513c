"""Runs a Triton, pip's or the container's, over the model repository."""
