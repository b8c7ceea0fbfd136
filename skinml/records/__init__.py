"""What a workspace remembers of its runs, whatever ended them."""
