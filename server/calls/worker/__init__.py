"""The media plane: a process that forwards packets and never sees the database (R-15)."""
