"""Another program, which holds the database's lock until its standard input ends."""

import sys

import apsw

connection = apsw.Connection(f"{sys.argv[1]}/engine.db")
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
