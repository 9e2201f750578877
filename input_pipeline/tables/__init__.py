"""Reads what tables say: labels, groups, splits, regions, pairs and tiles to leave out."""
