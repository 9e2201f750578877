"""Reads picture files: whole, by bands, and out of prepared data sets."""
