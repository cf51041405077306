"""The read models of the shop, without a store: given these events, then those documents."""

from importlib import import_module

from eventuali.testing import given

example = import_module("08_projections")
ADA = {"user": "ada", "session": "s-1"}
BOB = {"user": "bob", "session": "s-2"}

SHOPPING = given(
    example.Visited(**ADA),
    example.Visited(**BOB),
    example.Viewed(**ADA),
    example.CartFilled(**ADA),
    example.Ordered(category="books", cents=1250, **ADA),
    example.Ordered(category="books", cents=50, **ADA),
    example.Ordered(category="lamps", cents=7010, **ADA),
)


def test_what_users_do_is_counted() -> None:
    SHOPPING.when(example.Activity()).then(
        {"ada": example.User(events=6), "bob": example.User(events=1)}
    )


def test_sales_are_added_by_category() -> None:
    SHOPPING.when(example.Sales()).then(
        {
            "books": example.Category(orders=2, cents=1300),
            "lamps": example.Category(orders=1, cents=7010),
        }
    )


def test_the_funnel_knows_how_far_each_session_came() -> None:
    SHOPPING.when(example.Funnel()).then(
        {"s-1": example.Session(furthest=2), "s-2": example.Session(furthest=0)}
    )


def test_the_dashboard_goes_on_from_what_it_has() -> None:
    given(example.Visited(**BOB)).when(
        example.Dashboard(), documents={"totals": example.Totals(visits=2, cents=8310)}
    ).then({"totals": example.Totals(visits=3, cents=8310)})
