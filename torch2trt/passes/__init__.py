"""Graph to graph: each pass is small, and leaves what the graph computes as it was."""
