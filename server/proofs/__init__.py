"""Live proofs (R-14, R-16): pictures that were taken just now, sealed by this server, and where somebody was."""
