"""Django's SQLite backend, told of the limits that SQLite really has."""
