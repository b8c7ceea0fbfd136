"""One program a peer: JPEGs in, pixels out, as a competent user of that library would write it."""
