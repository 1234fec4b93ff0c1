"""Checkpoints of reunet as packed runs, `NAME.reunet`; `index.json` has their hashes. Holds no code."""
