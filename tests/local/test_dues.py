"""Any id stands as a number, each as another one, and comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from later_core.local.dues import Dues, pack, unpack

ids = st.one_of(
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=128),
    st.uuids().map(lambda uuid: uuid.hex),
    st.sampled_from(
        ["0" * 32, "f" * 32, "F" * 32, "0x" + "1" * 30, "1_" * 16, " " * 32, "0", "00"]
    ),
)


@given(ids)
def test_an_id_comes_back_as_it_was(id):
    assert unpack(pack(id)) == id


@given(st.sets(ids, max_size=50))
def test_different_ids_are_different_numbers(some):
    assert len({pack(id) for id in some}) == len(some)


@given(st.lists(st.tuples(ids, st.one_of(st.none(), st.integers(0, 9)))))
def test_it_behaves_as_a_table(steps):
    dues, model = Dues(), {}
    for id, due in steps:
        if due is None:
            dues.remove(pack(id))
            model.pop(id, None)
        else:
            dues.put(pack(id), due)
            model[id] = due
        assert len(dues) == len(model)
    assert {unpack(key): due for key, due in dues.items()} == model
    assert all(dues.get(pack(id)) == model.get(id) for id, _ in steps)
