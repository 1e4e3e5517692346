"""What the examples share: a stack to run on, scripts as processes, and answers as tables."""
