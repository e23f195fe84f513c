"""Korean input: keyboard layouts, keystrokes, tokens."""
