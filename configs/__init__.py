"""One file per recipe; `default.py` holds every key."""
