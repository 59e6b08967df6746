"""Fuzzing of what clients send: the reader of frames, the decoder, and a connection from its first byte to its end."""
