"""The page of a night: its worklist with pictures, its counts and its health, and the page over all nights."""
