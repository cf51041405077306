"""The tree of exceptions: what is what, what they carry, and that they travel."""

import copy
import inspect
import pickle
from uuid import UUID

import pytest

from eventuali import errors

ID = UUID(int=7)
EXAMPLES = [
    errors.OptimisticConcurrencyError(
        "m", stream=("Account", "a"), expected_version="no_stream", actual_version=3
    ),
    errors.AppendConditionError("m", after=4, position=9),
    errors.IdempotencyConflictError("m", event_ids=[ID]),
    errors.OutcomeUnknownError("m", event_ids=[ID]),
    errors.CheckpointMismatchError("m", name="mailer", position=7, event_id=ID),
    errors.StorageCorruptedError("m", position=5),
    errors.SerializationError("m", path="a.0", event_type="T"),
    errors.UnknownEventTypeError("m", event_type="T"),
    errors.PayloadTooLargeError("m", what="payload", size=2, limit=1),
    errors.InvalidEventError("m", field="event_id"),
    errors.AggregateNotFoundError("m", aggregate_type="Account", aggregate_id="a"),
]
CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_all_lists_every_class_and_the_drawing_names_each():
    defined = {
        n for n, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)
    assert all(name in errors.__doc__ for name in defined)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_is_in_the_tree_has_a_docstring_and_takes_a_message(cls):
    assert issubclass(cls, errors.EventualiError)
    assert cls.__doc__
    assert str(cls("what went wrong")) == "what went wrong"
    assert repr(pickle.loads(pickle.dumps(cls("m")))) == repr(cls("m"))


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_attributes_survive_pickling_and_copying(error, travel):
    arrived = travel(error)
    assert type(arrived) is type(error)
    assert arrived.args == ("m",)
    assert vars(arrived) == vars(error) != {}


def test_notes_survive_pickling():
    error = errors.InvalidEventError("m", field="x")
    error.add_note("seen")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["seen"]


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.SerializationError, ValueError),
        (errors.PayloadTooLargeError, ValueError),
        (errors.InvalidEventError, ValueError),
        (errors.AggregateNotFoundError, LookupError),
        (errors.AppendConditionError, errors.OptimisticConcurrencyError),
        (errors.PayloadTooLargeError, errors.SerializationError),
        (errors.StorageCorruptedError, errors.DatabaseError),
        (errors.DatabaseError, errors.EventStoreError),
    ],
)
def test_can_be_caught_as(cls, base):
    assert issubclass(cls, base)


def test_an_append_condition_concerns_no_single_stream():
    assert EXAMPLES[1].stream is None


def test_event_ids_are_a_list_of_their_own():
    ids = (ID,)
    assert errors.OutcomeUnknownError("m", event_ids=ids).event_ids == [ID]
