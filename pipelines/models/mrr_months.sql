-- name: mrr_months
-- grain: one row per tenant, connection and month from its first recurring charge up to as_of
-- needs: invoice_line_items, credit_note_line_items, data_as_of
-- meaning: The months in which there can be MRR, and the day whose MRR is the month's.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   month_start: First day of the month
--   value_date: Last day of the month, or as_of in the running month
--   as_of: Day up to which the data speaks
with first_days as (
  select tenant_id, connection_id, min(period_start) as first_day
  from (
    select tenant_id, connection_id, period_start from invoice_line_items where line_kind = 'recurring'
    union all
    select tenant_id, connection_id, period_start from credit_note_line_items where line_kind = 'recurring'
  ) lines
  group by tenant_id, connection_id
),
months as (
  select make_date(cast(g.k / 12 as int), cast(g.k % 12 + 1 as int), 1) as month_start,
    make_date(cast((g.k + 1) / 12 as int), cast((g.k + 1) % 12 + 1 as int), 1) - 1 as last_day
  from generate_series(22800, 26399) as g(k)
)
select a.tenant_id, a.connection_id, m.month_start, least(m.last_day, a.as_of) as value_date, a.as_of
from data_as_of a
join first_days f on f.tenant_id = a.tenant_id and f.connection_id = a.connection_id
join months m on m.month_start <= a.as_of and m.last_day >= f.first_day
