"""The hostile messages: each case is one that has stopped a worker, or one of its kind."""

from __future__ import annotations

import base64
import json
import random
import uuid
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from tools.hostile.frames import Hostile, Item, timestamp

WORKFLOW = "rmqwork-workflow"
ENVELOPE = "application/vnd.rmqwork.workflow+json"


def _properties(task: str = "hostile.good", **others: Any) -> dict[str, Any]:
    return {
        "content_type": "application/json",
        "delivery_mode": 2,
        "message_id": str(uuid.uuid4()),
        "type": task,
        **others,
    }


def _with_headers(what: str, task: str = "hostile.good", **headers: Any) -> Hostile:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hostile(what, _properties(task, headers=named))


def _workflow(what: str, document: Any, task: str = "hostile.good") -> Hostile:
    text = document if isinstance(document, str) else json.dumps(document)
    return Hostile(what, _properties(task, headers={WORKFLOW: text}))


def _node(**changed: Any) -> dict[str, Any]:
    node = {
        "task": "hostile.good",
        "id": str(uuid.uuid4()),
        "exchange": "",
        "key": "hostile",
        "body": {"key": "a step"},
    }
    return {**node, **changed}


def nest(depth: int, inner: str = "1") -> str:
    """The JSON of lists in lists."""
    return "[" * depth + inner + "]" * depth


@lru_cache
def _bomb() -> str:
    return base64.b64encode(zlib.compress(b" " * (60 << 20))).decode()


def workflows() -> Iterator[Hostile]:
    """Carried workflows that are none."""
    for task in ("hostile.good", "hostile.fails"):
        yield _workflow("then is no JSON", '{"id":"w","then":[garbage]}', task)
        yield _workflow("then is a number", '{"id":"w","then":5}', task)
        yield _workflow("then has a number", '{"id":"w","then":[5]}', task)
        yield _workflow("then is nested", f'{{"id":"w","then":[{nest(3000)}]}}', task)
        yield _workflow("link is nested", f'{{"id":"w","link":{nest(3000)},"then":[]}}', task)
        yield _workflow(
            "handlers are nested", f'{{"id":"w","link_error":{nest(3000)},"then":[]}}', task
        )
        yield _workflow("no id", '{"then":[]}', task)
        yield _workflow("an id that is a list", '{"id":[1],"then":[]}', task)
        yield _workflow("expires_at beyond all", '{"id":"w","expires_at":1e308,"then":[]}', task)
        for name, value in (
            ("exchange", [1]),
            ("exchange", "x" * 300),
            ("exchange", "\ud800"),
            ("exchange", None),
            ("exchange", "amq.rabbitmq.trace"),
            ("exchange", "an unknown one"),
            ("key", {}),
            ("key", "k" * 300),
            ("id", 7),
            ("id", "i" * 300),
            ("task", []),
            ("task", "t" * 300),
            ("priority", "high"),
            ("priority", -1),
            ("priority", 1e9),
            ("headers", [1]),
            ("headers", {"a": {"b": [1, None, float("1e308")]}}),
            ("headers", {"h" * 300: 1}),
            ("headers", {"CC": "a text"}),
            ("headers", {"CC": [1]}),
            ("headers", {"x-match": 1 << 70}),
            ("expires", "soon"),
            ("expires", 1e308),
            ("expires_at", "soon"),
            ("countdown", "soon"),
            ("countdown", 1e308),
            ("countdown", -1e308),
            ("eta", 1e308),
            ("eta", "tomorrow"),
            ("version", [1]),
            ("into", ["x"]),
            ("into", 5),
            ("body", [1]),
            ("body", 5),
            ("app_id", 5),
            ("link", 5),
            ("link", [5]),
            ("link_error", {"a": 1}),
            ("each", {"a": [1]}),
        ):
            node = _node(**{name: value})
            document = {"id": "w", "then": [node]}
            yield _workflow(f"a step whose {name} is {value!r:.30}", document, task)
            document = {"id": "w", "link": [node], "link_error": [node], "then": []}
            yield _workflow(f"a link whose {name} is {value!r:.30}", document, task)
        frames: tuple[Any, ...] = (
            {"join": 5, "queue": "rmqwork.joins.0", "size": 2, "index": 0},
            {"join": "j", "queue": 5, "size": 2, "index": 0},
            {"join": "j", "queue": "q" * 300, "size": 2, "index": 0},
            {"join": "j", "queue": "rmqwork.joins.0", "size": 2, "index": "first"},
            {"join": "j", "queue": "rmqwork.joins.0", "size": 2, "index": 1 << 70},
            {"join": "j"},
            {"group": 5, "id": "g"},
            {"group": [5], "id": "g"},
            {"group": [_node()], "id": 5},
            {"chain": 5},
            {"chain": [5]},
            {"chain": [[]]},
            {"catch": 5},
            {"catch": [5]},
            {"link": 5},
            {"packed": 5},
            {"packed": "garbage"},
            {"packed": base64.b64encode(zlib.compress(b"garbage")).decode()},
            {"packed": base64.b64encode(zlib.compress(nest(3000).encode())).decode()},
            {},
            [],
            None,
            "text",
        )
        for frame in frames:
            yield _workflow(f"a frame {frame!r:.60}", {"id": "w", "then": [frame, _node()]}, task)
        bomb = _bomb()
        yield _workflow("a packed bomb", {"id": "w", "then": [{"packed": bomb}]}, task)
        inner = bomb
        for _ in range(3):
            inner = base64.b64encode(zlib.compress(json.dumps({"packed": inner}).encode())).decode()
        yield _workflow("a bomb in a bomb", {"id": "w", "then": [{"packed": inner}]}, task)
        yield from _envelopes(task)


def _envelopes(task: str) -> Iterator[Hostile]:
    headers = {WORKFLOW: "w"}
    for what, body in (
        ("garbage", b"garbage"),
        ("no UTF-8", b"\xff\xfe"),
        ("nothing", b""),
        ("a number", b"5"),
        ("no workflow", b'{"body":{"key":"x"}}'),
        ("a workflow that is text", b'{"body":{"key":"x"},"workflow":"w"}'),
        ("a nest", f'{{"body":{{}},"workflow":{nest(3000)}}}'.encode()),
        (
            "a nest as body",
            f'{{"body":{nest(100_000)},"workflow":{{"id":"w","then":[]}}}}'.encode(),
        ),
        (
            "1,500,000 empty frames",
            b'{"body":{"key":"x"},"workflow":{"id":"w","then":[' + b"{}," * 1_500_000 + b"{}]}}",
        ),
    ):
        properties = _properties(task, headers=headers, content_type=ENVELOPE)
        yield Hostile(f"an envelope of {what}", properties, body)


def headers() -> Iterator[Hostile]:
    """Headers that are too large, that cannot be sent again, that lie."""
    for task in ("hostile.fails", "hostile.fails_twice", "hostile.unknown"):
        yield _with_headers("a header of 130 kB", task, big="x" * 100_000)
        yield _with_headers("ours of 100 kB", task, rmqwork_big="x" * 100_000)
        yield _with_headers("13,000 times", task, **{f"t{n}": timestamp(n) for n in range(5_000)})
        yield _with_headers(
            "ours, times", task, **{f"rmqwork-{n}": timestamp(n) for n in range(3_000)}
        )
        yield _with_headers("before 1970", task, when=timestamp(-5), rmqwork_when=timestamp(-5))
        yield _with_headers("after 9999", task, rmqwork_when=timestamp(1 << 62))
        yield _with_headers("a decimal", task, rmqwork_d=Item(b"D", b"\x02\x00\x00\x00\x01"))
        yield _with_headers("nan", task, rmqwork_n=float("nan"), n=float("inf"))
        yield _with_headers("no UTF-8", task, rmqwork_n=b"\xff\xfe", n=b"\xff")
        yield Hostile("a name that is no UTF-8", _properties(task, headers={b"rmqwork-\xff": 1}))
        deep: Any = 1
        for _ in range(100):
            deep = {"d": deep}
        yield _with_headers("a nest", task, rmqwork_deep=deep)
        yield _with_headers("long lists", task, rmqwork_list=[1] * 5_000)
        for name in ("exchange", "routing-key", "queue", "host", "history", "each", "version",
                     "expires-at", "unknown-since", "replay", "error-reason", "signature",
                     "encrypted", "delay-due", "attempt"):  # fmt: skip
            for value in (b"\xff" * 300, [1], {"a": 1}, -(1 << 62), 1e300, None, True, "x" * 2_000):
                yield _with_headers(f"{name} is {value!r:.20}", task, **{f"rmqwork-{name}": value})
    for value in (5_000, -5, 1 << 62, "text", [1], 0):
        for task in ("hostile.dies", "hostile.fails_twice"):
            yield _with_headers(f"attempt {value!r:.20}", task, **{"rmqwork-attempt": value})
    yield _with_headers("x-death is a number", "hostile.fails", **{"x-death": 5})
    yield _with_headers("x-delivery-count", "hostile.fails", **{"x-delivery-count": "5"})
    yield _with_headers("CC is a list of numbers", "hostile.nasty")


def properties() -> Iterator[Hostile]:
    """Properties that no client library sends."""
    wrong = b"\xff\xfe"
    for task in ("hostile.good", "hostile.fails"):
        for name in ("content_type", "content_encoding", "correlation_id", "reply_to", "message_id",
                     "app_id"):  # fmt: skip
            for value in (wrong, wrong * 127, "x" * 255, "", "ü" * 127):
                yield Hostile(f"{name} is {value!r:.20}", {**_properties(task), name: value})
        yield Hostile("no properties", {})
        yield Hostile("a time beyond all", _properties(task, timestamp=(1 << 64) - 1))
        yield Hostile("priority 255", _properties(task, priority=255))
    for value in (wrong, "", "t" * 255, "hostile.unknown", "rmqwork.join", "ü" * 127):
        yield Hostile(f"type is {value!r:.20}", _properties() | {"type": value})
    yield Hostile("zstd that is none", _properties(content_encoding="zstd"), b"garbage")
    yield Hostile("an unknown encoding", _properties(content_encoding="gzip"), b"garbage")
    try:
        import zstandard
    except ImportError:
        return
    packer = zstandard.ZstdCompressor()
    body = packer.compress(b'{"key":"' + b"x" * (250 << 20) + b'"}')
    for _ in range(8):
        yield Hostile("a compressed bomb", _properties(content_encoding="zstd"), body)
    frames = packer.compress(b"") * 100_000
    yield Hostile("empty compressed frames", _properties(content_encoding="zstd"), frames)


def bodies() -> Iterator[Hostile]:
    """Bodies that are no arguments."""
    deep, key = nest(50_000).encode(), b'{"key":'
    found = [b"", b"\xff", b"5", b"[]", b"null", b"{}", b"x" * 1_000_000, deep, key + deep + b"}"]
    for body in (*found, key + b"5}", key + b'"\\ud800"}'):
        yield Hostile(f"a body {body[:20]!r}", _properties(), body)
    yield Hostile("an exception that cannot be told", _properties("hostile.nasty"))


def joins() -> Iterator[Hostile]:
    """Parts, openings and ends of groups that nobody has begun."""
    for queue in (f"rmqwork.joins.{number}" for number in range(4)):
        for kind in ("open", "part", "failed", "done", "fence", "unheard-of", 5, None):
            for body in (b"garbage", b"{}", b'{"size":1e400,"id":"w","then":[]}',
                         b'{"size":-1,"id":"w","then":[]}', b'{"size":null,"id":"w","then":[]}',
                         b'{"size":2,"id":[],"then":5}', b'{"size":10000000000,"id":"w","then":[]}',
                         b'{"size":1,"id":"w","then":[5]}',
                         f'{{"size":1,"id":"w","then":[{nest(3000)}]}}'.encode()):  # fmt: skip
                for index in (0, -1, 1 << 62, "first", None):
                    headers = {"rmqwork-join": kind, "rmqwork-index": index}
                    properties = _properties("rmqwork.join", headers=headers)
                    yield Hostile(f"{kind} {body[:20]!r} {index}", properties, body, queue)


def control() -> Iterator[Hostile]:
    """Words on the control exchange that are none."""
    names: tuple[Any, ...] = ("revoke", "pause", "inspect", "scale", "log-level", "shutdown", 5)
    values: tuple[Any, ...] = (1e30, float("nan"), -1e30, None, [], {}, "text", nest(3000))
    for name in names:
        for value in values:
            words = dict.fromkeys(("id", "until", "queue", "workflow", "task", "at"), value)
            body = json.dumps({"command": name, "verb": name, **words}).encode()
            yield Hostile(f"control {name}", _properties(str(name)), body, "", "rmqwork.control")
    for garbage in (b"garbage", b"\xff", b"5", b"[]", nest(100_000).encode()):
        yield Hostile("control garbage", _properties("x"), garbage, "", "rmqwork.control")


def mutated(cases: list[Hostile], seed: int) -> Iterator[Hostile]:
    """Cases without an end: those of the corpus, with parts of others."""
    chance = random.Random(seed)
    while True:
        case, other = chance.choice(cases), chance.choice(cases)
        properties = dict(case.properties)
        properties |= {n: value for n, value in other.properties.items() if chance.random() < 0.3}
        body = other.body if chance.random() < 0.3 else case.body
        if chance.random() < 0.2 and len(body) < 10_000:
            at = chance.randrange(len(body) + 1)
            body = body[:at] + chance.randbytes(chance.randrange(8)) + body[at + 1 :]
        properties["message_id"] = str(uuid.UUID(int=chance.getrandbits(128)))
        if isinstance(properties.get("headers"), dict) and isinstance(
            other.properties.get("headers"), dict
        ):
            both = {**case.properties.get("headers", {}), **other.properties["headers"]}
            if chance.random() < 0.3 and len(both) < 100:
                properties["headers"] = both
        yield Hostile(
            f"{case.what} × {other.what}", properties, body, case.routing_key, case.exchange
        )


FAMILIES: dict[str, Callable[[], Iterator[Hostile]]] = {
    "workflows": workflows,
    "headers": headers,
    "properties": properties,
    "bodies": bodies,
    "joins": joins,
    "control": control,
}
