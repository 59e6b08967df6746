"""Supervision calls: people who watch each other keep their promises (R-14 to R-16)."""
