-- name: mrr_movements
-- grain: one row per tenant, connection, customer, currency and month in which MRR is not 0 or moves
-- needs: mrr_segments, mrr_months, data_as_of
-- meaning: Why MRR changed in a month. Every day on which a customer's MRR in a currency changes is one movement:
--   from 0 it is new, or a reactivation when it was above 0 before; to 0 it is churn; else expansion or contraction.
--   What happens on one day is netted, then the days of a month are added up by kind, so a customer may begin and
--   leave in one month. Amounts are signed: opening + new_mrr + reactivation + expansion + contraction + churn =
--   closing, closing is the MRR of mrr_monthly, and the next month opens with it.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   customer_id: Customer
--   currency: Currency of all amounts
--   month_start: First day of the month
--   opening: MRR at the end of the month before
--   new_mrr: First MRR ever of this customer in this currency
--   reactivation: MRR again after a time at 0
--   expansion: More than the day before
--   contraction: Less than the day before, but not 0; negative
--   churn: Lost altogether; negative
--   closing: MRR at the end of the month, in the running month on as_of
--   as_of: Day up to which the data speaks
with edges as (
  select s.tenant_id, s.connection_id, s.customer_id, s.currency, a.as_of,
    case e.edge when 'start' then s.start_date else s.end_date end as day,
    case e.edge when 'start' then s.mrr else -s.mrr end as change
  from mrr_segments s
  join data_as_of a on a.tenant_id = s.tenant_id and a.connection_id = s.connection_id
  cross join (values ('start'), ('end')) as e(edge)
),
days as (
  select tenant_id, connection_id, customer_id, currency, as_of, day, sum(change) as change
  from edges
  where day <= as_of
  group by tenant_id, connection_id, customer_id, currency, as_of, day
),
running as (
  select d.*,
    sum(d.change) over (partition by d.tenant_id, d.connection_id, d.customer_id, d.currency
      order by d.day rows between unbounded preceding and current row) as total
  from days d
),
balances as (
  select r.*, case when r.total < 0 then cast(0 as decimal(38, 8)) else r.total end as mrr from running r
),
steps as (
  select b.*, cast(date_trunc('month', b.day) as date) as month_start,
    coalesce(lag(b.mrr) over (partition by b.tenant_id, b.connection_id, b.customer_id, b.currency
      order by b.day), 0) as mrr_before,
    coalesce(max(b.mrr) over (partition by b.tenant_id, b.connection_id, b.customer_id, b.currency
      order by b.day rows between unbounded preceding and 1 preceding), 0) as mrr_peak
  from balances b
),
moved as (
  select tenant_id, connection_id, customer_id, currency, as_of, month_start,
    sum(mrr - mrr_before) as net,
    sum(case when mrr_before = 0 and mrr_peak = 0 then mrr else 0 end) as new_mrr,
    sum(case when mrr_before = 0 and mrr_peak > 0 then mrr else 0 end) as reactivation,
    sum(case when mrr_before > 0 and mrr > mrr_before then mrr - mrr_before else 0 end) as expansion,
    sum(case when mrr > 0 and mrr < mrr_before then mrr - mrr_before else 0 end) as contraction,
    sum(case when mrr_before > 0 and mrr = 0 then -mrr_before else 0 end) as churn
  from steps
  group by tenant_id, connection_id, customer_id, currency, as_of, month_start
),
stretches as (
  select m.*,
    sum(m.net) over (partition by m.tenant_id, m.connection_id, m.customer_id, m.currency
      order by m.month_start rows between unbounded preceding and current row) as closing,
    lead(m.month_start) over (partition by m.tenant_id, m.connection_id, m.customer_id, m.currency
      order by m.month_start) as next_move
  from moved m
),
spread as (
  select s.tenant_id, s.connection_id, s.customer_id, s.currency, c.month_start, s.closing, s.as_of,
    case when c.month_start = s.month_start then s.net else 0 end as net,
    case when c.month_start = s.month_start then s.new_mrr else 0 end as new_mrr,
    case when c.month_start = s.month_start then s.reactivation else 0 end as reactivation,
    case when c.month_start = s.month_start then s.expansion else 0 end as expansion,
    case when c.month_start = s.month_start then s.contraction else 0 end as contraction,
    case when c.month_start = s.month_start then s.churn else 0 end as churn
  from stretches s
  join mrr_months c
    on c.tenant_id = s.tenant_id and c.connection_id = s.connection_id
    and c.month_start >= s.month_start and c.month_start < coalesce(s.next_move, s.as_of + 1)
)
select tenant_id, connection_id, customer_id, currency, month_start,
  cast(closing - net as decimal(28, 8)) as opening,
  cast(new_mrr as decimal(28, 8)) as new_mrr,
  cast(reactivation as decimal(28, 8)) as reactivation,
  cast(expansion as decimal(28, 8)) as expansion,
  cast(contraction as decimal(28, 8)) as contraction,
  cast(churn as decimal(28, 8)) as churn,
  cast(closing as decimal(28, 8)) as closing,
  as_of
from spread
where closing <> 0 or new_mrr <> 0 or reactivation <> 0 or expansion <> 0 or contraction <> 0 or churn <> 0
