"""The HTTP API: spend, decisions, budgets and the audit, for people and programs."""

from tollway.api.app import create_app
from tollway.api.clickhouse import connect_reader
from tollway.api.run import run_api
from tollway.api.settings import ApiSettings

__all__ = ["ApiSettings", "connect_reader", "create_app", "run_api"]
