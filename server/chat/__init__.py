"""Conversations: direct ones between friends, and groups."""
