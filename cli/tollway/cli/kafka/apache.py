"""Real Apache Kafka on this machine: its published jars, one KRaft node, plain Java."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tollway.cli.children import Child
from tollway.cli.kafka.broker import BrokerFailed, free_port, wait_until_serving

__all__ = ["KAFKA_VERSION", "ApacheKafka", "default_kafka_home", "fetch_kafka", "why_no_kafka"]

# A fixed version: the newest in the index may lack parts on a mirror (4.4.0 did), and a test that
# runs against another broker than yesterday tells nothing.
KAFKA_VERSION = "4.3.1"
_LOG4J_VERSION = "2.25.2"
_MAVEN_DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_FETCH_TIMEOUT_S = 600.0
_FORMAT_TIMEOUT_S = 60.0
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0

_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tollway</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

_LOG4J = """\
status=error
shutdownHook=disable
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
"""


def default_kafka_home() -> Path:
    """`TOLLWAY_KAFKA_HOME`, else `.kafka` in the working directory."""
    return Path(os.environ.get("TOLLWAY_KAFKA_HOME") or ".kafka").resolve()


def why_no_kafka(home: Path) -> str | None:
    """What is missing to run Apache Kafka here; None if nothing is."""
    if shutil.which("java") is None:
        return "java is not on the PATH (Kafka needs Java 17)"
    if not _jars(home).is_dir() and shutil.which("mvn") is None:
        return f"mvn is not on the PATH, and {_jars(home)} does not exist"
    return None


def fetch_kafka(home: Path) -> Path:
    """The directory of Kafka's jars below `home`; filled by Maven the first time, whole or not."""
    jars = _jars(home)
    if jars.is_dir():
        return jars
    missing = why_no_kafka(home)
    if missing is not None:
        raise BrokerFailed(f"cannot fetch Apache Kafka {KAFKA_VERSION}: {missing}")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home) as directory:
        fetched = Path(directory) / "jars"
        (Path(directory) / "pom.xml").write_text(_POM)
        _run(
            [
                *["mvn", "-B", "-q", "-ntp", f"{_MAVEN_DEPENDENCY_PLUGIN}:copy-dependencies"],
                *[f"-DoutputDirectory={fetched}", "-DincludeScope=runtime"],
            ],
            cwd=Path(directory),
            timeout_s=_FETCH_TIMEOUT_S,
        )
        try:
            fetched.rename(jars)
        except OSError:
            # Somebody else has put them there in the meantime; theirs are as good.
            if not jars.is_dir():
                raise
    return jars


class ApacheKafka:
    """One broker and controller whose data lives in `directory` and outlives the process."""

    kind = f"apache-kafka {KAFKA_VERSION}"

    def __init__(
        self, directory: Path, *, home: Path, port: int | None = None, heap_mb: int = 512
    ) -> None:
        self._directory = directory.resolve()
        self._home = home
        self._port = port if port is not None else free_port()
        self._controller_port = free_port()
        self._child = Child(
            self.kind,
            [
                *["java", f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m", "-XX:+UseG1GC"],
                f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}",
                *["-cp", f"{_jars(home)}/*", "kafka.Kafka", str(self._properties)],
            ],
            log=self._directory / "kafka.log",
        )

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

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
        """Also after `stop` and `kill`: same data, same port."""
        fetch_kafka(self._home)
        self._configure()
        if not (self._directory / "data" / "meta.properties").exists():
            self._format()
        self._child.start()
        wait_until_serving(self._child, self.bootstrap, START_TIMEOUT_S)

    def stop(self) -> None:
        self._child.stop(STOP_TIMEOUT_S)

    def kill(self) -> None:
        self._child.kill()

    def _configure(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "log4j2.properties").write_text(_LOG4J)
        self._properties.write_text(
            _server_properties(self._directory / "data", self._port, self._controller_port)
        )

    def _format(self) -> None:
        tool = ["java", "-cp", f"{_jars(self._home)}/*", "kafka.tools.StorageTool"]
        cluster = _run([*tool, "random-uuid"], cwd=self._directory, timeout_s=_FORMAT_TIMEOUT_S)
        _run(
            [*tool, "format", "-t", cluster.strip(), "-c", str(self._properties)],
            cwd=self._directory,
            timeout_s=_FORMAT_TIMEOUT_S,
        )


def _jars(home: Path) -> Path:
    return home / f"kafka-{KAFKA_VERSION}"


def _server_properties(data: Path, port: int, controller_port: int) -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        # The topic's own limit governs; the broker's is only the default for topics without one.
        "message.max.bytes": str(16 * 1024 * 1024),
        # A broker that was killed comes back once its old session has lapsed; the default is 9 s.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "offsets.topic.num.partitions": "8",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _run(command: list[str], *, cwd: Path, timeout_s: float) -> str:
    done = subprocess.run(
        command, cwd=cwd, timeout=timeout_s, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BrokerFailed(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
    return done.stdout
