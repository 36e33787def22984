"""The shared language and the wire. Imports none of our other packages.

messages    what crosses the wire            codec       messages <-> msgpack
subjects    every name, built and parsed     topology    the streams and consumers we need, as data
port        what the router needs of a bus   jetstream   that port on a real nats-server:
            connection, embedded, publish, consume, read, provision, services
adapter     the contract with systems        errors      the few exceptions that the shell acts on
"""
