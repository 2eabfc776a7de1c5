-- M1: opening and movements of a month are its closing; M2: the closing is the MRR of that month.
with sums as (
  select tenant_id, connection_id, customer_id, currency, month_start, closing,
    opening + new_mrr + reactivation + expansion + contraction + churn as reached
  from mrr_movements
),
checked as (
  select tenant_id, connection_id, customer_id, currency, month_start, 'M1' as rule, reached as expected,
    closing as actual
  from sums
  union all
  select coalesce(s.tenant_id, m.tenant_id) as tenant_id, coalesce(s.connection_id, m.connection_id) as connection_id,
    coalesce(s.customer_id, m.customer_id) as customer_id, coalesce(s.currency, m.currency) as currency,
    coalesce(s.month_start, m.month_start) as month_start, 'M2' as rule, coalesce(m.mrr, 0) as expected,
    coalesce(s.closing, 0) as actual
  from sums s
  full outer join mrr_monthly m
    on m.tenant_id = s.tenant_id and m.connection_id = s.connection_id and m.customer_id = s.customer_id
    and m.currency = s.currency and m.month_start = s.month_start
)
select tenant_id, connection_id, rule, 'hard' as severity, 'customers' as entity, customer_id as id, currency, expected,
  actual, actual - expected as delta, concat('month ', cast(month_start as varchar)) as message
from checked
where actual <> expected
