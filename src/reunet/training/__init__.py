"""The loop that turns batches into weights: schedule, checkpoints, validation, exact resume."""
