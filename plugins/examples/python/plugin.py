# A plugin to copy: makes orders of a shop's webhooks, keeps the large ones and
# greets who ordered. What each function is given and gives back is in `wit/`.
#
#     python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
#     .venv/bin/componentize-py -d wit -w full-plugin componentize --stub-wasi plugin -o plugin.wasm
#     hookyard plugin test plugin.wasm tests/*.json
#
# A refusal is raised: `Err(Refusal(...))`. Any other exception is the plugin's
# fault. `componentize-py -d wit -w full-plugin bindings .` writes the types
# down for an editor.

import functools
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.settings import Description, Example, Issue, Job
from wit_world.imports import log
from wit_world.imports.types import Draft, Event, Field, Message, Refusal, Request, Verdict_Drop, Verdict_Keep

SCHEMA = {
    "type": "object",
    "properties": {
        "greeting": {"type": "string", "minLength": 1, "description": "What stands before the name."},
        "min_total": {"type": "integer", "minimum": 0, "description": "Orders below this are dropped."},
    },
    "required": ["greeting"],
    "additionalProperties": False,
}


def told(function):
    """Writes an exception into the log, with its line: there is no standard error in here."""

    @functools.wraps(function)
    def call(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except Exception as error:
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            log.write(log.Level.ERROR, f"line {at.tb_lineno}: {type(error).__name__}: {error}")
            raise

    return call


class Settings(exports.Settings):
    @told
    def describe(self) -> Description:
        return Description(
            name="order-greeter",
            version="1.0.0",
            summary="Greets who ordered something.",
            config_schema=json.dumps(SCHEMA),
            capabilities=[],
            examples=examples(),
        )

    @told
    def check(self, config: str) -> None:
        settings = json.loads(config)
        issues = []
        greeting = settings.get("greeting")
        if not isinstance(greeting, str) or not greeting:
            issues.append(Issue("greeting", "must be text that is not empty"))
        if not is_whole(settings.get("min_total", 0)) or settings.get("min_total", 0) < 0:
            issues.append(Issue("min_total", "must not be negative"))
        if issues:
            raise Err(issues)


class Mapper(exports.Mapper):
    @told
    def map(self, request: Request, config: str) -> list[Draft]:
        # Understood, and no event: none is made, and nothing is refused.
        if any(field.name == "test" for field in request.query):
            return []
        order = read("body", request.body)
        return [
            Draft(
                type="order.placed",
                occurred_at=None,
                subject=f"order:{order['order']}",
                account=next((field.value for field in request.headers if field.name == "x-shop"), None),
                tags=[],
                data=request.body.decode(),
            )
        ]


class Filter(exports.Filter):
    @told
    def keep(self, event: Event, config: str) -> Verdict_Keep | Verdict_Drop:
        order = read("data", event.data)
        least = json.loads(config).get("min_total", 0)
        if order["total"] < least:
            return Verdict_Drop(f"order {order['order']}: a total of {order['total']} is below {least}")
        return Verdict_Keep()


class Transformer(exports.Transformer):
    @told
    def transform(self, event: Event, message: Message, config: str) -> Message:
        order = read("data", event.data)
        number = order["order"]
        log.write(log.Level.INFO, f"greeting for order {number}")
        greeting = json.loads(config)["greeting"]
        text = f"{greeting}, {order['customer']['name']}! Order {number} came to {order['total']}."
        body = {"text": text, "shop": event.account, "at": event.occurred_at}
        others = [field for field in message.headers if field.name != "x-order"]
        return Message(
            method=message.method,
            target=f"orders/{number}",
            headers=[*others, Field("x-order", str(number))],
            body=json.dumps(body).encode(),
        )


def read(what: str, text: str | bytes) -> dict:
    """The order that JSON text holds; anything else is refused."""
    try:
        order = json.loads(text)
        if is_whole(order["order"]) and is_whole(order["total"]) and isinstance(order["customer"]["name"], str):
            return order
    except (ValueError, KeyError, TypeError):
        pass  # Refused below, like any other that is no order.
    message = f"{what}: an order has whole numbers `order` and `total`, and a text `customer.name`"
    raise Err(Refusal("bad-input", message))


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def examples() -> list[Example]:
    """Run by the host when the plugin is uploaded, and shown to whoever uses it."""
    config = json.dumps({"greeting": "Hello", "min_total": 10})
    order = {"order": 7, "total": 25, "customer": {"name": "Jane"}}
    at = "2026-11-21T08:30:00.000Z"
    placed = {"type": "order.placed", "account": "shop-1", "occurred_at": at, "data": order}
    small = {"type": "order.placed", "data": {"order": 8, "total": 5, "customer": {"name": "Joe"}}}
    request = {"headers": [{"name": "x-shop", "value": "shop-1"}], "body": json.dumps(order)}
    draft = {"type": "order.placed", "subject": "order:7", "account": "shop-1", "data": order}
    greeted = {"text": "Hello, Jane! Order 7 came to 25.", "shop": "shop-1", "at": at}
    message = {
        "method": "POST",
        "target": "orders/7",
        "headers": [{"name": "x-order", "value": "7"}],
        "body": json.dumps(greeted),
    }

    def example(name: str, job: Job, given: object, made: object) -> Example:
        return Example(name, job, config, json.dumps(given), json.dumps(made))

    return [
        example("An order becomes an event", Job.MAPPER, {"request": request}, [draft]),
        example(
            "A small order is dropped", Job.FILTER, {"event": small}, {"drop": "order 8: a total of 5 is below 10"}
        ),
        example("Who ordered is greeted", Job.TRANSFORMER, {"event": placed, "message": {"body": "{}"}}, message),
    ]
