"""A stand-in for the LMS of a district, for demo and tests: its own process and file, no part of the hub.

`book` is its SQLite file, `desk` what it answers over HTTP, to the hub and to teachers, `postman` brings what
teachers do to the hub, `command` starts it. It knows of the hub what any system does: a URL and a secret.
"""
