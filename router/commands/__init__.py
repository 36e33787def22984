"""The commands that work on the router's own ground: its configuration, its state, its installation."""
