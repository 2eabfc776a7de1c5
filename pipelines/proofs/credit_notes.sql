select tenant_id, connection_id, rule, severity, 'credit_notes' as entity, credit_note_id as id, currency, expected,
  actual, delta, '' as message
from reconcile_credit_notes
