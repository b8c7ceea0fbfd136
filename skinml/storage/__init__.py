"""The only user of object storage, on a folder and on a bucket alike: name, list, read, put."""
