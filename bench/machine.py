"""The machine that measures, and what a process has used of it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

__all__ = ["cpu_s", "describe", "load"]

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU-seconds that a process with all its threads has used, in user mode and in the kernel."""
    # The name, in brackets, may hold spaces; what follows it is fixed.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def load() -> float:
    """Runnable processes, averaged over the last minute: what others do to our figures."""
    return os.getloadavg()[0]


def describe(kafka: str) -> dict[str, object]:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    memory = Path("/proc/meminfo").read_text().split(maxsplit=2)[1]
    packages = ("aiokafka", "confluent-kafka", "faust-streaming", "msgspec", "mypy", "uvloop")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": kafka,
        "packages": {name: version(name) for name in packages},
        "load_before": round(load(), 2),
    }
