"""Where settings come from, which are refused, and that secrets are never shown."""

from pathlib import Path

import pytest

from tollway import meter
from tollway.producers.settings import Settings, read_settings


def test_arguments_win_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "tollway.toml").write_text(
        'brokers = "127.0.0.1:1"\nworkspace = "file"\nagent = "file"\nclickhouse = "chdb:///x"\n'
        '[kafka]\n"linger.ms" = 1\n"socket.keepalive.enable" = true\n"sasl.username" = "file"\n'
    )
    environment = {
        "TOLLWAY_WORKSPACE": "environment",
        "TOLLWAY_AGENT": "environment",
        "TOLLWAY_KAFKA_SASL_USERNAME": "environment",
    }

    settings = read_settings({"agent": "argument", "key": None}, environment, tmp_path)

    assert settings == Settings(
        brokers="127.0.0.1:1",
        workspace="environment",
        agent="argument",
        kafka={
            "linger.ms": "1",
            "socket.keepalive.enable": "true",
            "sasl.username": "environment",
        },
    )


def test_numbers_and_switches_are_read_from_the_environment(tmp_path: Path) -> None:
    environment = {
        "TOLLWAY_WAIT_S": "1.5",
        "TOLLWAY_ON_STALE": "closed",
        "TOLLWAY_SIGTERM": "false",
        "TOLLWAY_ALLOW_PLAINTEXT": "1",
    }

    settings = read_settings({}, environment, tmp_path)

    assert settings == Settings(wait_s=1.5, on_stale="closed", sigterm=False, allow_plaintext=True)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(meter.BadSettings, match="TOLLWAY_CONFIG"):
        read_settings({}, {"TOLLWAY_CONFIG": "nowhere.toml"}, tmp_path)


def test_a_named_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('agent = "bot"\n')

    assert read_settings({}, {"TOLLWAY_CONFIG": "mine.toml"}, tmp_path).agent == "bot"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"on_stale": "ajar"}, "on_stale"),
        ({"wait_s": 61}, "wait_s"),
        ({"wait_s": -1}, "wait_s"),
        ({"kafka": "linger.ms=5"}, "table"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(meter.BadSettings, match=says):
        read_settings(arguments, {}, tmp_path)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "tollway.toml").write_text("agent = \n")

    with pytest.raises(meter.BadSettings, match=r"tollway\.toml"):
        read_settings({}, {}, tmp_path)


@pytest.mark.parametrize(
    "brokers", ["kafka:9092", "127.0.0.1:1,10.0.0.7:9092", "PLAINTEXT://kafka:9092", "[fd00::1]:9"]
)
def test_plaintext_to_another_host_must_be_allowed(tmp_path: Path, brokers: str) -> None:
    with pytest.raises(meter.BadSettings, match="unencrypted"):
        read_settings({"brokers": brokers}, {}, tmp_path)

    read_settings({"brokers": brokers, "allow_plaintext": True}, {}, tmp_path)
    encrypted = {"security.protocol": "sasl_ssl"}
    read_settings({"brokers": brokers, "kafka": encrypted}, {}, tmp_path)


@pytest.mark.parametrize("brokers", ["localhost:9092", "127.0.0.1:1, 127.0.0.9:2", "[::1]:9092"])
def test_plaintext_to_this_host_needs_no_leave(tmp_path: Path, brokers: str) -> None:
    assert read_settings({"brokers": brokers}, {}, tmp_path).brokers == brokers


def test_secrets_are_never_shown() -> None:
    settings = Settings(
        brokers="127.0.0.1:1", key="hunter2", kafka={"sasl.password": "hunter3", "x": "hunter4"}
    )

    for text in (repr(settings), str(settings), f"{settings}", str(settings.__rich_repr__())):
        assert "hunter" not in text
        assert "127.0.0.1:1" in text
