"""Export: the network in formats that run without a training framework, each verified against it."""
