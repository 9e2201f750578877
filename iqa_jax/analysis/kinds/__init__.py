"""What the answers of a label kind mean."""
