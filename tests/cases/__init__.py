"""One file of rows per family of handlers; see harness.py for what a row says."""
