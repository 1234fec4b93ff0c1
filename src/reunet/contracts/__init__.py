"""What travels between rooms and lies on disk: frozen models with a JSON form and a schema version."""
