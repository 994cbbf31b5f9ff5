# SPDX-License-Identifier: LGPL-2.1-or-later
"""rpm-database.py FILE NAME,EPOCH,VERSION,RELEASE,ARCH...: a database as rpm makes it since 4.16. With small pages, so that few
packages are a tree of them, and headers that do not fit into one."""
import sqlite3
import struct
import sys


def header(name, epoch, version, release, arch):
    entries, data = [], b""
    for tag, value in ((1000, name), (1001, version), (1002, release), (1003, epoch), (1022, arch), (1004, "x" * 900)):
        if not value:
            continue
        if tag == 1003:
            data += b"\0" * (-len(data) % 4)
            entries.append((tag, 4, len(data), 1))
            data += struct.pack(">I", int(value))
        else:
            entries.append((tag, 6, len(data), 1))
            data += value.encode() + b"\0"
    return struct.pack(">II", len(entries), len(data)) + b"".join(struct.pack(">IIII", *e) for e in entries) + data


db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA page_size=512")
db.execute("CREATE TABLE IF NOT EXISTS 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
db.execute("CREATE TABLE IF NOT EXISTS 'Name' (key 'BLOB' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
db.execute("DELETE FROM Packages")
for p in sys.argv[2:]:
    db.execute("INSERT INTO Packages(blob) VALUES(?)", (header(*p.split(",")),))
db.commit()
db.close()
