"""A broker in memory: RabbitMQ 4.3 as far as rmqwork uses it, in one process, without I/O."""
