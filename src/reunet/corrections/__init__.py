"""Labels of a dataset, mended and written back where they came from, in the convention that they are in."""
