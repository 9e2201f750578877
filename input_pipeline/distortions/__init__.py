"""Makes clean pictures worse in known kinds and degrees."""
