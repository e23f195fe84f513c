"""What a server must survive for hours: publishes, kills, overload, and whatever a client may send."""
