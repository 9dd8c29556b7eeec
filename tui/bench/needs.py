"""What another key would have to be for a key to have an effect, by the table that presets are checked by."""

from engine.presets.readers import needs

__all__ = ["needs"]
