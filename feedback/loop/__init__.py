"""The loop, once around: pairs, training, evaluation, a generation as a variant, an experiment."""
