"""Guardians: who looks after the money of a minor."""
