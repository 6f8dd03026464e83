"""CPU time and memory of processes, from /proc, and how much of the machine others used meanwhile.

CPU time is what most bars are measured in: it hardly depends on how busy the machine is. A wall-clock
figure does, so each measurement says what share of the processors other processes had. That share
comes by subtraction: all that the processors did, less what our own processes did, so that short-lived
ones are not missed.
"""

import os

TICK = os.sysconf("SC_CLK_TCK")


def _stat_fields(pid):
    """The fields behind the name; the first is the state (field 3 in proc(5))."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def cpu_seconds(pid):
    """CPU time of all threads of a process, to the nanosecond where the kernel tells."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9
    except (FileNotFoundError, ProcessLookupError):
        fields = _stat_fields(pid)
        return (int(fields[11]) + int(fields[12])) / TICK


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory")


def family(roots):
    """The processes `roots` and all that descend from them."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(_stat_fields(name)[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = set(roots)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found & parents.keys()


def _ours(roots):
    """CPU time of our processes, with their ended children and those of this program."""
    total = 0.0
    for pid in family(set(roots) | {os.getpid()}):
        try:
            fields = _stat_fields(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(field) for field in fields[11:15]) / TICK
    return total


def _machine():
    """(busy, all) CPU seconds since boot; time stolen by the host counts as busy."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(field) for field in stat.readline().split()[1:9]]
    user, nice, system, idle, iowait, irq, softirq, steal = fields
    busy = user + nice + system + irq + softirq + steal
    return busy / TICK, (busy + idle + iowait) / TICK


class Others:
    """Share of the machine that other processes used while the block ran.

    with Others(stack.pids) as others: …
    others.share  # 0.07: 7 % of all processors
    """

    def __init__(self, pids):
        self._pids = pids  # a function: services may be restarted meanwhile
        self.share = 0.0

    def __enter__(self):
        self._start = (*_machine(), _ours(self._pids()))
        return self

    def __exit__(self, *_):
        busy, total = _machine()
        ours = _ours(self._pids())
        spent = total - self._start[1]
        foreign = (busy - self._start[0]) - (ours - self._start[2])
        self.share = max(0.0, foreign / spent) if spent > 0 else 0.0
