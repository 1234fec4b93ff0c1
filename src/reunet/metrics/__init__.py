"""Scores on arrays: pixels, objects, surfaces, tracks, boxes, classes, and how sure we are of them.

Arrays in, numbers out: nothing here knows of files, tasks or networks. Undefined scores are nan. Definitions,
and what differs from other programs: docs/metrics.md.
"""
