"""Many runs on many splits: what comparisons, protocols and cleaning share."""
