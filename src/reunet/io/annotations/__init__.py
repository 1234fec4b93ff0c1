"""Files that tell the objects of images, their tracks or their class: read to arrays, written from arrays.

Readers add everything that is wrong with a file to a list of problems, and give what can be used of it.
An error keeps the dataset from being used; a warning says what was left out or changed.
"""
