"""The flows whole, through the command line, on a folder and on a bucket."""
