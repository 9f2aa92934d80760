"""Programs for those who work on Thaw."""
