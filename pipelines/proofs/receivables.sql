-- A2: what happened to an invoice adds up to its balance.
with rebuilt as (
  select tenant_id, connection_id, invoice_id, sum(amount) as balance
  from ar_events
  group by tenant_id, connection_id, invoice_id
)
select i.tenant_id, i.connection_id, 'A2' as rule, 'hard' as severity, 'invoices' as entity, i.id, i.currency,
  r.balance as expected, i.balance as actual, coalesce(i.balance, 0) - r.balance as delta, '' as message
from invoices i
join rebuilt r on r.tenant_id = i.tenant_id and r.connection_id = i.connection_id and r.invoice_id = i.id
where coalesce(i.balance, 0) <> r.balance
