"""One training run: its data, its targets and the only train loop."""
