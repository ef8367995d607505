"""What stands behind the channels that are trained, and the weights of their merge."""
