"""A person's wallet: a view on the ledger, and what they may do with their money."""
