"""From a system's news to events: read whole, compare with the last good read, guard, publish.

staging   a reading into the shelf, row by row: mapped, compared, its references looked up
shelf     one small SQLite file per source: the last good read, the plan that is being published, the reads
runner    one source's life: wait, stage, guard, publish, put away
"""
