-- name: cash_forecast
-- grain: one row per tenant, connection, currency, component, collection method and week after as_of, 13 weeks
-- needs: collection_curve, ar_aging, scheduled_billing
-- meaning: Which cash is to be expected when. Component `open`: what is open on as_of, collected as collection_curve
--   says for its age. Component `renewal`: what scheduled_billing expects to be billed, collected by the same curve
--   from its first day on. Without new customers, plan changes, usage, refunds and outflows. Disputed invoices follow
--   the same curve. An average, not a promise: half of the weeks will be lower.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   currency: Currency of expected
--   component: open or renewal
--   collection_method: automatic, manual or unknown
--   week_no: 1 for the week that begins on the day after as_of
--   week_start: First day of the week
--   expected: Cash expected in the week
--   as_of: Day up to which the data speaks
with recursive hazards as (
  select tenant_id, connection_id, currency, collection_method, cast(week + 8 as int) as week, share
  from collection_curve
),
paths as (
  select tenant_id, connection_id, currency, collection_method, week as start_week, cast(1 as int) as nth,
    cast(1 as decimal(18, 8)) as still_open, share
  from hazards
  union all
  select p.tenant_id, p.connection_id, p.currency, p.collection_method, p.start_week, cast(p.nth + 1 as int) as nth,
    cast(round(p.still_open * (1 - p.share), 8) as decimal(18, 8)) as still_open, h.share
  from paths p
  join hazards h
    on h.tenant_id = p.tenant_id and h.connection_id = p.connection_id and h.currency = p.currency
    and h.collection_method = p.collection_method and h.week = p.start_week + p.nth
  where p.nth < 13
),
chances as (
  select p.*, cast(round(p.still_open * p.share, 8) as decimal(18, 8)) as chance from paths p
),
amounts as (
  select o.tenant_id, o.connection_id, o.currency, 'open' as component,
    coalesce(o.collection_method, 'unknown') as collection_method, o.balance as amount, o.as_of,
    o.as_of + 1 as from_date,
    greatest(o.as_of + 1 - coalesce(o.due_date, o.as_of + 1), -56) + 56 as start_days
  from ar_aging o
  union all
  select b.tenant_id, b.connection_id, b.currency, 'renewal' as component, b.collection_method, b.expected as amount,
    b.as_of, b.bill_date as from_date, greatest(-b.net_terms_days, -56) + 56 as start_days
  from scheduled_billing b
),
expected as (
  select a.tenant_id, a.connection_id, a.currency, a.component, a.collection_method, a.as_of,
    (a.from_date - a.as_of - 1 + 7 * (c.nth - 1)) / 7 + 1 as week_no,
    cast(round(a.amount * c.chance, 8) as decimal(28, 8)) as amount
  from amounts a
  join chances c
    on c.tenant_id = a.tenant_id and c.connection_id = a.connection_id and c.currency = a.currency
    and c.collection_method = a.collection_method and c.start_week = a.start_days / 7
)
select tenant_id, connection_id, currency, component, collection_method, cast(week_no as bigint) as week_no,
  as_of + 1 + 7 * (cast(week_no as int) - 1) as week_start, cast(sum(amount) as decimal(28, 8)) as expected, as_of
from expected
where week_no <= 13 and amount > 0
group by tenant_id, connection_id, currency, component, collection_method, week_no, as_of
