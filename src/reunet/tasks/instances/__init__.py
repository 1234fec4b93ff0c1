"""Instance segmentation: each object gets a number of its own, in images and volumes, and across frames."""
