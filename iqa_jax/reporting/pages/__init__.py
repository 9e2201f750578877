"""Lays out pages, plots and pictures from plain values; knows no config."""
