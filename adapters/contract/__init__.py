"""The contract kit: what every destination promises, as laws that are held against a real system.

law: what a law is, and what became of it               laws: all of them
subject: what a law needs to know of an adapter         asking: how laws speak to it
records, removals, batches, calls, nights: the laws     proxy: a way to the system that spoils requests
disk: one without room
described: a subject from a file, for `yellowbus adapter test` (adapters/README.md)
"""
