-- name: invoiced_by_month
-- grain: one row per tenant, connection, currency and month of issue
-- needs: v_invoices
-- meaning: What was invoiced in a month, and what became of it until now. Drafts, void and deleted invoices are out.
--   invoiced is the sum of totals, tax included; paid is cash; open is what is still owed.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   currency: Currency of all amounts
--   month_start: First day of the month of issue
--   invoices: Number of invoices
--   invoiced: Sum of totals
--   paid: Sum of cash received on them
--   refunded: Sum of successful refunds
--   open: Sum of balances
select tenant_id, connection_id, currency, cast(date_trunc('month', issue_date) as date) as month_start,
  count(*) as invoices,
  cast(sum(coalesce(total, 0)) as decimal(28, 8)) as invoiced,
  cast(sum(coalesce(amount_paid, 0)) as decimal(28, 8)) as paid,
  cast(sum(refunded_amount) as decimal(28, 8)) as refunded,
  cast(sum(coalesce(balance, 0)) as decimal(28, 8)) as open
from v_invoices
where deleted_at is null and not coalesce(is_void, false) and not coalesce(is_draft, false)
group by tenant_id, connection_id, currency, cast(date_trunc('month', issue_date) as date)
