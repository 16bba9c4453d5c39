"""The checks, one file each: a function from the context to its finding."""
