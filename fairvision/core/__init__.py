"""What every room stands on: files that appear whole, tables, processes, names that read alike."""
