"""The index: immutable generations, written, read and rolled back."""
