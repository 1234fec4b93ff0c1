"""Formats of images that a room of their own reads, each with a package of an extra: one table, and one room
per format, which is loaded when the first file of it is opened.

What makes a room is told by `stored.py`. To add a format: a room, an entry here, its package in an extra.
"""
