"""Records that are put on a destination's work list without a change of them: names, never bodies.

window     what a person writes -> a window of time
finding    which records a job is about, how they stand, how long it will take
survey     what of all records would be sent by the rules of now
comparing  what a destination has, read back and compared
jobs       jobs at work: each puts its records, some at a time, and goes on after a restart
schedule   a compare each day at its time
kept       for how long the index can tell what a window holds
newcomers  a destination that is added: a backfill is offered
"""
