"""Folders to cases: where images and masks lie, which classes there are, which case is in which split.

`scan` finds the cases, `problems` is the one validator, `splits` holds out, `cache` gives the arrays,
`synthetic` makes a set with exact truth.
"""
