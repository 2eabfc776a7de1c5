select tenant_id, connection_id, rule, severity, 'invoices' as entity, invoice_id as id, currency, expected, actual,
  delta, '' as message
from reconcile_invoices
