"""Reads, writes and lists objects, in a folder or in a bucket. Only this package uses obstore and s3fs."""
