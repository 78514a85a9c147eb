"""One worker as `tollway worker` runs it, in a consumer group of the bench's own.

``python -m bench.worker_process BROKERS PORT GROUP DIRECTORY [STAGES]``: with a file for stages,
its CPU time by stage is written there several times a second.
"""

import sys
from pathlib import Path

from tollway.streams.app import run_worker
from tollway.streams.settings import WorkerSettings


def main() -> None:
    brokers, port, group, directory, *stages = sys.argv[1:]
    if stages:
        from bench.stages import write_stages

        write_stages(Path(stages[0]))
    run_worker(WorkerSettings(brokers=brokers, web_port=int(port), group=group, data_dir=directory))


if __name__ == "__main__":
    main()
