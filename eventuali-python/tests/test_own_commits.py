"""A handler that commits the connection of its session by itself loses nothing of its page."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from eventuali import Event, Projection, sync
from eventuali.errors import ProjectionError
from eventuali.sqlalchemy import Sessions, checkpoints


class Hit(Event):
    number: int


class Base(DeclarativeBase):
    pass


class Line(Base):
    __tablename__ = "lines"
    number: Mapped[int] = mapped_column(primary_key=True)


checkpoints(Base.metadata)


class Lines(Projection):
    def on_hit(self, event: Hit, session: Session) -> None:
        session.add(Line(number=event.number))
        if event.number == 30:
            session.connection().commit()


def test_a_commit_of_the_connection_is_refused(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/own.db")
    Base.metadata.create_all(engine)
    with sync.EventStore.create(tmp_path / "events.db") as store:
        last = store.append([Hit(number=number) for number in range(50)]).position
        with (
            store.run(Lines().into(Sessions(sessionmaker(engine)))) as running,
            pytest.raises(ProjectionError) as told,
        ):
            running.wait_for(last, timeout=10)
        assert "must not commit" in str(told.value.__cause__)
    with Session(engine) as session:
        assert sorted(session.scalars(select(Line.number))) == list(range(30))
    engine.dispose()
