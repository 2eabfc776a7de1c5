select documents, rule, currency, count(*) as rows, cast(sum(delta) as decimal(28, 8)) as delta, min(id) as first_id
from (
  select tenant_id, connection_id, 'invoices' as documents, rule, currency, delta, invoice_id as id
  from reconcile_invoices
  union all
  select tenant_id, connection_id, 'payments' as documents, rule, currency, delta, payment_id as id
  from reconcile_payments
  union all
  select tenant_id, connection_id, 'credit_notes' as documents, rule, currency, delta, credit_note_id as id
  from reconcile_credit_notes
) violations
where {owner}
group by documents, rule, currency
order by documents, rule, currency
