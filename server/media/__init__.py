"""Pictures, voice, video clips and files (R-32): taken in by pieces, made harmless, kept, given out to members."""
