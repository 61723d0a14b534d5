"""Payment links from CSV files: how a row is read, and the kind that `wallgent.imports` knows."""
