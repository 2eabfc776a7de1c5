select tenant_id, connection_id, rule, severity, 'payments' as entity, payment_id as id, currency, expected, actual,
  delta, '' as message
from reconcile_payments
