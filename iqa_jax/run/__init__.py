"""What one run is: its config, what its config may say, its workdir and its variables."""
