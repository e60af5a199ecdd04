"""The plan of three steps as dbos runs it on SQLite: each step writes a line, the middle one takes a while.

usage: bench-dbos.py FOLDER SECONDS; started again in the same folder, dbos goes on where it was.
"""

import os
import sys
import time

from dbos import DBOS, SetWorkflowID

folder, middle_s = sys.argv[1], float(sys.argv[2])
DBOS(
    config={
        "name": "plan",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
)


def act(number):
    file = os.open(f"{folder}/calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{number}\n".encode())
    os.fsync(file)
    os.close(file)
    if number == 2:
        time.sleep(middle_s)


@DBOS.step()
def first():
    act(1)


@DBOS.step()
def middle():
    act(2)


@DBOS.step()
def last():
    act(3)


@DBOS.workflow()
def plan():
    first()
    middle()
    last()


DBOS.launch()
with SetWorkflowID("plan"):
    handle = DBOS.start_workflow(plan)
handle.get_result()
DBOS.destroy()
