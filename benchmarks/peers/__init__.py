"""One program a peer: each does the whole job as a competent user of that library would write it."""
