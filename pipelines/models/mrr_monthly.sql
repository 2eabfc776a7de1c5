-- name: mrr_monthly
-- grain: one row per tenant, connection, customer, currency and month in which MRR is not 0
-- needs: mrr_segments, mrr_months
-- meaning: Monthly recurring revenue by invoice lines: the sum of the segments of mrr_segments that run on the
--   month's last day, in the running month on as_of. Below 0 the value is 0 and is_clamped is true.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   customer_id: Customer
--   currency: Currency of mrr
--   month_start: First day of the month
--   mrr: MRR on value_date
--   is_clamped: Credits exceeded charges; shown as 0
--   value_date: Last day of the month, or as_of in the running month
--   as_of: Day up to which the data speaks
with totals as (
  select s.tenant_id, s.connection_id, s.customer_id, s.currency, v.month_start, v.value_date, v.as_of,
    cast(sum(s.mrr) as decimal(28, 8)) as mrr
  from mrr_segments s
  join mrr_months v
    on v.tenant_id = s.tenant_id and v.connection_id = s.connection_id
    and s.start_date <= v.value_date and v.value_date < s.end_date
  group by s.tenant_id, s.connection_id, s.customer_id, s.currency, v.month_start, v.value_date, v.as_of
)
select tenant_id, connection_id, customer_id, currency, month_start,
  case when mrr < 0 then cast(0 as decimal(28, 8)) else mrr end as mrr,
  mrr < 0 as is_clamped, value_date, as_of
from totals
where mrr <> 0
