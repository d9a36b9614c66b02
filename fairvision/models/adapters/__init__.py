"""Models of other libraries: a file for each kind, a function `open_model` that opens one."""
