"""What tests of tasks need: brokers to run them on.

:mod:`rmqwork.testing.broker` finds or starts a RabbitMQ.
"""

from __future__ import annotations

from rmqwork.testing.broker import Broker, BrokerCannot, start_broker, vhost

__all__ = ["Broker", "BrokerCannot", "start_broker", "vhost"]
