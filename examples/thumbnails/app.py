"""The app of ``rmqwork demo``. There is one copy of it, in
`rmqwork._cli.demo.app`, for the demo runs from an installed package, too; this is where to find it
from here.

In the folder `examples/`:

    rmqwork worker thumbnails.app:app -Q high_priority
    rmqwork worker thumbnails.app:app -Q low_priority -p 2
    python -m thumbnails.publish 200
"""

from rmqwork._cli.demo.app import (
    MakePortrait,
    MakeThumbnail,
    app,
    make_portrait,
    make_thumbnail,
)

__all__ = ["MakePortrait", "MakeThumbnail", "app", "make_portrait", "make_thumbnail"]
