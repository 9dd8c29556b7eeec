"""The terminal: launcher and workbench; never imports torch."""
