"""./scripts/test soak: a call of four for half an hour, after which everything is as it was in its first minutes."""
