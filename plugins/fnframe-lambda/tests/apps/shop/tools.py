"""Handlers that use Powertools for AWS Lambda, as its documentation shows them."""

import json
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer, IdempotencyConfig, idempotent
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.base import DataRecord
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser

logger = Logger(service="shop", level="INFO")
metrics = Metrics(namespace="Shop", service="shop")
tracer = Tracer(service="shop")


@metrics.log_metrics(capture_cold_start_metric=True)
@tracer.capture_lambda_handler
@logger.inject_lambda_context(log_event=True)
def observed(event, context):
    logger.info("working", order=event["order"])
    metrics.add_metric(name="Orders", unit=MetricUnit.Count, value=1)
    tracer.put_annotation(key="order", value=event["order"])
    return [logger.get_correlation_id(), event["order"]]


processor = BatchProcessor(event_type=EventType.SQS)


def batch(event, context):
    def handle(record):
        assert json.loads(record.body)["good"]

    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)


class Store(BasePersistenceLayer):
    """Keeps records in a file of SQLite."""

    def __init__(self):
        super().__init__()
        self.file = Path(os.environ["TMPDIR"]) / "idempotency"
        with self.open() as connection:
            connection.execute("create table if not exists records (key primary key, status, expiry, data)")

    def open(self):
        return sqlite3.connect(self.file)

    def _get_record(self, idempotency_key):
        with self.open() as connection:
            row = connection.execute("select * from records where key = ?", [idempotency_key]).fetchone()
        if row is None:
            raise IdempotencyItemNotFoundError
        return DataRecord(row[0], status=row[1], expiry_timestamp=row[2], response_data=row[3])

    def _put_record(self, data_record):
        now = int(datetime.now().timestamp())
        with self.open() as connection:
            connection.execute("delete from records where expiry < ?", [now])
            try:
                connection.execute(
                    "insert into records values (?, ?, ?, '')",
                    [data_record.idempotency_key, data_record.status, data_record.expiry_timestamp],
                )
            except sqlite3.IntegrityError:
                raise IdempotencyItemAlreadyExistsError from None

    def _update_record(self, data_record):
        with self.open() as connection:
            connection.execute(
                "update records set status = ?, expiry = ?, data = ? where key = ?",
                [
                    data_record.status,
                    data_record.expiry_timestamp,
                    data_record.response_data,
                    data_record.idempotency_key,
                ],
            )

    def _delete_record(self, data_record):
        with self.open() as connection:
            connection.execute("delete from records where key = ?", [data_record.idempotency_key])


calls = 0


@idempotent(persistence_store=Store(), config=IdempotencyConfig(event_key_jmespath="order"))
def once(event, context):
    global calls
    calls += 1
    return {"calls": calls, "order": event["order"]}


api = APIGatewayHttpResolver()


@api.get("/orders/<number>")
def order(number):
    return {"number": number, "wanted": api.current_event.get_query_string_value("wanted")}


@api.exception_handler(ValueError)
def refused(error):
    return Response(422, "application/json", json.dumps({"refused": str(error)}))


@api.get("/fails")
def fails():
    raise ValueError("not that")


def http(event, context):
    return api.resolve(event, context)


class Order(BaseModel):
    order: int
    names: list[str] = []


@event_parser(model=Order)
def parsed(event: Order, context):
    return {"order": event.order + 1, "names": event.names}
