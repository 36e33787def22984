"""CHANGES to destinations: each has its own durable consumer, work list, worker and ledger.

marker   CHANGES -> the work list: names of records, never bodies
worker   the work list -> map, compare, send, one commit
settled  how deliveries ended, and what is told of them
plan     (in router.core.delivery) what one record asks for: a put, a removal, or nothing
"""
