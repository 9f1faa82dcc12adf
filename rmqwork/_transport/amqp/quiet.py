"""RabbitMQ over AMQP 0-9-1. The only package that knows pika."""

from __future__ import annotations

import logging

_pika = logging.getLogger("pika")
if _pika.level == logging.NOTSET:
    # pika logs each failed attempt as an ERROR with a traceback; rmqwork says it in one line.
    _pika.setLevel(logging.CRITICAL)
