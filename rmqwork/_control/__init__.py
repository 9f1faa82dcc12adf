"""Control of running workers, through RabbitMQ: what is said (`wire`), what holds until it is taken
back (`standing`), and who asks (`asking`). `rmqwork._worker.control.commands` is the other end.
"""
