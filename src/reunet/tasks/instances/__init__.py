"""Instances: each object gets an id."""
