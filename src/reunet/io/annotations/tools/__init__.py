"""Files in which programs tell the objects of images: a module for each, whose function `read` reads them.

They are imported on demand (`datasets/tools.py`); none but that table knows them.
"""
