"""Engines: building, running, storing and refitting them."""
