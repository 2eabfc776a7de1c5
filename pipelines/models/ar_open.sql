-- name: ar_open
-- grain: one row per open invoice
-- needs: v_invoices, data_as_of
-- meaning: Accounts receivable: invoices with a balance above 0 that are issued, not void and not deleted, as of the
--   day up to which the data speaks. Aged by due date; without one, issue date plus net terms (0 when unknown).
--   Unapplied payments and open credit notes are not netted in.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   customer_id: Customer
--   currency: Currency of balance
--   invoice_id: Invoice
--   number: Number as printed
--   issue_date: Document date
--   due_date: Day on which it is or was due
--   balance: Still to be paid
--   days_overdue: Whole days after the due date on as_of; 0 when not yet due
--   bucket: current, 1-30, 31-60, 61-90, 91-120, over 120 days overdue; unknown without any date
--   is_disputed: A dispute is open
--   as_of: Day of this statement
with open_invoices as (
  select i.tenant_id, i.connection_id, i.customer_id, i.currency, i.id as invoice_id, i.number, i.issue_date,
    coalesce(i.due_date, i.issue_date + cast(coalesce(i.net_terms_days, 0) as int)) as due_date,
    i.balance, coalesce(i.is_disputed, false) as is_disputed, a.as_of
  from v_invoices i
  join data_as_of a on a.tenant_id = i.tenant_id and a.connection_id = i.connection_id
  where i.balance > 0 and i.deleted_at is null
    and not coalesce(i.is_void, false) and not coalesce(i.is_draft, false)
),
aged as (
  select o.*, cast(case when o.as_of > o.due_date then o.as_of - o.due_date else 0 end as bigint) as days_overdue
  from open_invoices o
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
  is_disputed, as_of
from aged
