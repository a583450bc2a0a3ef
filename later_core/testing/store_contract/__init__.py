"""The checks of ``StoreContract``, room by room, as the port orders its methods."""

import pytest

# Before any of them is imported, so that a failed assert shows its values to a stranger too.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{room}"
        for room in (
            "access",
            "admission",
            "attempts",
            "creating",
            "ending",
            "history",
            "listing",
            "news",
            "nodes",
            "planning",
            "raised",
            "schedules",
            "snapshots",
            "starting",
            "steering",
            "steps",
            "transferring",
        )
    )
)
