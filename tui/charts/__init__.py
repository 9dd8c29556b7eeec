"""Charts of braille dots: pure drawing, without Textual."""
