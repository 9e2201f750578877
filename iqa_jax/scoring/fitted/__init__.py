"""What is fitted after training, for one checkpoint: one file for each thing."""
