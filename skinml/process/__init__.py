"""Process-level helpers: signals, scratch folders, memory, and crash points for drills."""
