"""RabbitMQ over AMQP 0-9-1. The only package that knows pika."""
