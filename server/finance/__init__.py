"""The finance desk: approvals, reconciliation, disputes of payments, exports."""
