"""What adapters have in common whose systems exchange files in a folder. It knows none of them.

names: {date} and {seq} in a file's name     place: a file is there whole, and on disk, or not at all
settle: the watched folder                   shelf: done/ and refused/            stamps: unchanged since?
text: bytes -> checked lines                 chunks: lines -> rows                source, reading: the way in
outbox: the way out                          held: what it holds, in SQLite       change: what a delivery does
"""
