"""What a process does beside its work: ends on signals, keeps scratch files, frees memory, dies in a drill."""
