"""From answers and labels to figures, each for its split."""
