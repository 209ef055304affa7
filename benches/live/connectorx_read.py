"""Reads a table into Arrow with ConnectorX: URL in the environment, then TABLE, KEY and PARTITIONS as arguments. Prints
rows, seconds, seconds of CPU time; without arguments its version."""
import os
import sys
import time

import connectorx
import pyarrow  # noqa: F401, so that its loading is not timed

if len(sys.argv) == 1:
    print(connectorx.__version__)
    sys.exit()
table, key, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
split = {"partition_on": key, "partition_num": partitions} if partitions > 1 else {}
wall, cpu = time.perf_counter(), time.process_time()
read = connectorx.read_sql(
    os.environ["READ_URL"], f"SELECT * FROM {table}", return_type="arrow", protocol="binary", **split
)
print(read.num_rows, time.perf_counter() - wall, time.process_time() - cpu)
