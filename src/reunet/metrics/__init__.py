"""Scores on arrays: overlap, ranking, regions, calibration, and how sure we are of them.

Arrays in, numbers out: nothing here knows of files, tasks or networks. Undefined scores are nan.
"""
