"""What the pages show of a job: words, numbers and icons, made from rows. Nothing here writes anything."""
