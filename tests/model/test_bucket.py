"""Buckets stand in the database: they must never change."""

from later_core.model.bucket import bucket_of


def test_the_bucket_of_an_id_never_changes() -> None:
    assert [bucket_of(id) for id in ("", "one", "ünï")] == [0, 241, 234]
    assert {bucket_of(str(n)) for n in range(10_000)} == set(range(256))
