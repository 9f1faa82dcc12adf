"""``python -m rmqwork`` is the command ``rmqwork``."""

from rmqwork._cli.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
