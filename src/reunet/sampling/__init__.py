"""From cases to training batches: intensity normalisation, patch sampling, augmentation, the pipeline.

Batch k is a pure function of (plan, seed, k); nothing here keeps a state.
"""
