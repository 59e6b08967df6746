"""Telling people who are not looking: push, the inbox as a centre, quiet hours."""
