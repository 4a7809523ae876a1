"""What Django's own formats of a language lack, for each language that has a folder here."""
