"""Reports, the staff's queue, and the trail of what was decided."""
