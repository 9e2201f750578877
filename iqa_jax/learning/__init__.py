"""How the network learns: losses, steps, optimizer, augmentation, state, devices, checkpoints."""
