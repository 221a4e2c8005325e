"""What comes back: an explanation with its columns, as files and as citations."""
