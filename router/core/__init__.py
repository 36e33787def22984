"""Pure: no I/O, no clock, no randomness, no log. Values in, values out.

rules      what the configuration says, compiled     mapping    a system's fields <-> the hub's
identity   which record an event is about            merge      one event and one record in, one decision out
guard      a read against its limits
"""
