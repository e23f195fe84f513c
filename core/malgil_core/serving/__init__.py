"""What a running scorer and tokenizer need beside their tensors: the index follower, metrics, admission."""
