"""Money: a double-entry ledger in integer minor units. Every other domain moves money through `service.Money`."""
