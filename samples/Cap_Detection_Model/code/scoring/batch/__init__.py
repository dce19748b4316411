"""Many images to files of predictions: in order, in little memory, and going on where a killed run stopped."""
