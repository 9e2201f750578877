"""What predictions mean: metrics, late fusion of tile answers, thresholds and the report."""
