"""One file a command; none of them imports torch before it runs."""
