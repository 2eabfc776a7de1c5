-- name: ar_aging
-- grain: one row per invoice that was open on as_of
-- needs: ar_events, v_invoices, data_as_of
-- meaning: Accounts receivable as they were on a day: each invoice's balance is rebuilt from what had happened by
--   then, and aged by due date; without one, issue date plus net terms (0 when unknown). On the day up to which the
--   data speaks it is ar_open. For another day use `tidegate report aging --as-of`, or put a table data_as_of with
--   that day before it.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   customer_id: Customer
--   currency: Currency of balance
--   invoice_id: Invoice
--   number: Number as printed
--   issue_date: Document date
--   due_date: Day on which it is or was due
--   balance: Owed at the end of as_of
--   days_overdue: Whole days after the due date on as_of; 0 when not yet due
--   bucket: current, 1-30, 31-60, 61-90, 91-120, over 120 days overdue; unknown without any date
--   collection_method: automatic or manual, by the customer's setting of today
--   as_of: Day of this statement
with balances as (
  select e.tenant_id, e.connection_id, e.invoice_id, a.as_of, cast(sum(e.amount) as decimal(28, 8)) as balance
  from ar_events e
  join data_as_of a on a.tenant_id = e.tenant_id and a.connection_id = e.connection_id
  where e.event_date <= a.as_of
  group by e.tenant_id, e.connection_id, e.invoice_id, a.as_of
),
owed as (
  select b.tenant_id, b.connection_id, i.customer_id, i.currency, b.invoice_id, i.number, i.issue_date,
    coalesce(i.due_date, i.issue_date + cast(coalesce(i.net_terms_days, 0) as int)) as due_date, b.balance, b.as_of,
    i.collection_method
  from balances b
  join v_invoices i on i.tenant_id = b.tenant_id and i.connection_id = b.connection_id and i.id = b.invoice_id
  where b.balance > 0
),
aged as (
  select o.*, cast(case when o.as_of > o.due_date then o.as_of - o.due_date else 0 end as bigint) as days_overdue
  from owed o
)
select tenant_id, connection_id, customer_id, currency, invoice_id, number, issue_date, due_date, balance,
  days_overdue,
  case
    when due_date is null then 'unknown'
    when days_overdue = 0 then 'current'
    when days_overdue <= 30 then '1-30'
    when days_overdue <= 60 then '31-60'
    when days_overdue <= 90 then '61-90'
    when days_overdue <= 120 then '91-120'
    else 'over 120'
  end as bucket,
  collection_method, as_of
from aged
