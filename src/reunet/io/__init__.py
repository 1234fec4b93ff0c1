"""Files to arrays and back: images and masks of every supported format, pictures for people.

Nothing here knows datasets or networks. An image is (H, W, C) in its native sample type, a volume
(D, H, W, C); a label array is (*space) uint8 class indices. Heavy readers are imported when the first file
needs them.
"""
