"""Whether the data set can be trained on, and findings about the data set as a whole."""
