"""What y means, and how the weights beside it become target mass."""
