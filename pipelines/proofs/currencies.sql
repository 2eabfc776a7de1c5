-- D12: what belongs together is in one currency.
with pairs as (
  select l.tenant_id, l.connection_id, 'invoice_line_items' as entity, l.id, i.currency as expected,
    l.currency as actual, i.id as other
  from invoice_line_items l
  join invoices i on i.tenant_id = l.tenant_id and i.connection_id = l.connection_id and i.id = l.invoice_id
  union all
  select l.tenant_id, l.connection_id, 'credit_note_line_items' as entity, l.id, n.currency as expected,
    l.currency as actual, n.id as other
  from credit_note_line_items l
  join credit_notes n on n.tenant_id = l.tenant_id and n.connection_id = l.connection_id and n.id = l.credit_note_id
  union all
  select a.tenant_id, a.connection_id, 'payment_allocations' as entity, a.id, i.currency as expected,
    p.currency as actual, i.id as other
  from payment_allocations a
  join invoices i on i.tenant_id = a.tenant_id and i.connection_id = a.connection_id and i.id = a.invoice_id
  join payments p on p.tenant_id = a.tenant_id and p.connection_id = a.connection_id and p.id = a.payment_id
  union all
  select a.tenant_id, a.connection_id, 'credit_allocations' as entity, a.id, i.currency as expected,
    n.currency as actual, i.id as other
  from credit_allocations a
  join invoices i on i.tenant_id = a.tenant_id and i.connection_id = a.connection_id and i.id = a.invoice_id
  join credit_notes n on n.tenant_id = a.tenant_id and n.connection_id = a.connection_id and n.id = a.credit_note_id
  union all
  select r.tenant_id, r.connection_id, 'refunds' as entity, r.id, n.currency as expected, p.currency as actual,
    n.id as other
  from refunds r
  join credit_notes n on n.tenant_id = r.tenant_id and n.connection_id = r.connection_id and n.id = r.credit_note_id
  join payments p on p.tenant_id = r.tenant_id and p.connection_id = r.connection_id and p.id = r.payment_id
)
select tenant_id, connection_id, 'D12' as rule, 'hard' as severity, entity, id, cast(null as varchar) as currency,
  expected, actual, cast(null as decimal(28, 8)) as delta, concat('against ', other) as message
from pairs
where actual <> expected
