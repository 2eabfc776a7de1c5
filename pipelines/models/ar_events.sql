-- name: ar_events
-- grain: one row per thing that changed what is owed on an invoice
-- needs: invoices, credit_notes, payment_allocations, data_as_of
-- meaning: How the balance of every invoice came to be: it is issued, paid, credited, adjusted, written off, lowered
--   by tax withheld, voided. The amounts of an invoice add up to its balance of today, those up to a day to its
--   balance of that day, as far as it is known today: a payment that bounced later counts as never made. Drafts and
--   deleted invoices are out. Dates are civil dates of the connection, that of voiding is in UTC; none is after the
--   day up to which the data speaks.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   invoice_id: Invoice
--   customer_id: Customer
--   currency: Currency of amount
--   event_date: Day from which it counts
--   kind: issue, payment, credit, adjustment, write_off, tax_withheld or void
--   amount: What it adds to the balance; negative when less is owed
--   source_id: The invoice, allocation or credit note that says so
with documents as (
  select i.tenant_id, i.connection_id, i.id as invoice_id, i.customer_id, i.currency, i.issue_date,
    coalesce(i.total, 0) as total, coalesce(i.is_void, false) as is_void, i.voided_at, a.as_of
  from invoices i
  join data_as_of a on a.tenant_id = i.tenant_id and a.connection_id = i.connection_id
  where i.deleted_at is null and not coalesce(i.is_draft, false)
),
moves as (
  select d.tenant_id, d.connection_id, d.invoice_id, d.issue_date as event_date, 'issue' as kind, d.total as amount,
    d.invoice_id as source_id
  from documents d
  union all
  select d.tenant_id, d.connection_id, d.invoice_id, cast(d.voided_at as date) as event_date, 'void' as kind,
    -d.total as amount, d.invoice_id as source_id
  from documents d
  where d.is_void
  union all
  select p.tenant_id, p.connection_id, p.invoice_id, p.applied_date as event_date,
    case p.kind when 'credit_note' then 'credit' else p.kind end as kind, -p.amount as amount, p.id as source_id
  from payment_allocations p
  left join credit_notes n
    on n.tenant_id = p.tenant_id and n.connection_id = p.connection_id and n.id = p.owner_credit_note_id
  where p.deleted_at is null and p.reversed_at is null and coalesce(n.kind, 'none') <> 'adjustment'
  union all
  select n.tenant_id, n.connection_id, n.invoice_id, n.date as event_date,
    case n.reason when 'write_off' then 'write_off' else 'adjustment' end as kind, -n.total as amount, n.id as source_id
  from credit_notes n
  where n.kind = 'adjustment' and n.voided_at is null and n.deleted_at is null
)
select m.tenant_id, m.connection_id, m.invoice_id, d.customer_id, d.currency,
  case when m.event_date <= d.as_of then m.event_date else d.as_of end as event_date, m.kind,
  cast(m.amount as decimal(28, 8)) as amount, m.source_id
from moves m
join documents d
  on d.tenant_id = m.tenant_id and d.connection_id = m.connection_id and d.invoice_id = m.invoice_id
