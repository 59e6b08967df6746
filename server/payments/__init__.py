"""Payments through third parties: charges, refunds and pay-outs as orders that survive every fault of a provider."""
