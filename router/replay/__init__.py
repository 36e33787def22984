"""Records that are put on a destination's work list without a change of them: names, never bodies.

kept     what a window of time can be asked of, and for how long
"""
