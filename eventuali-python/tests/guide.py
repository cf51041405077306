"""The guide's own code, as a user pastes it."""

from decimal import Decimal
from typing import List  # noqa: UP035

from pydantic import BaseModel

from eventuali.aggregate import Aggregate
from eventuali.event import DomainEvent


class OrderItem(BaseModel):
    product_id: str
    quantity: int
    price: Decimal


class OrderPlaced(DomainEvent):
    customer_id: str
    items: List[OrderItem]  # noqa: UP006
    total_amount: Decimal


class OrderShipped(DomainEvent):
    tracking_number: str


class Order(Aggregate):
    customer_id: str = ""
    items: List[OrderItem] = []  # noqa: RUF012, UP006
    total_amount: Decimal = Decimal("0")
    status: str = "new"
    tracking_number: str | None = None

    def apply_order_placed(self, event: OrderPlaced) -> None:
        self.customer_id = event.customer_id
        self.items = event.items
        self.total_amount = event.total_amount
        self.status = "placed"

    def apply_order_shipped(self, event: OrderShipped) -> None:
        self.tracking_number = event.tracking_number
        self.status = "shipped"
