-- name: collection_curve
-- grain: one row per tenant, connection, currency, collection method and week of age since the due date
-- needs: ar_events, v_invoices, data_as_of
-- meaning: How likely an amount that is still open at an age is paid in that week of age. Every invoice is cut into
--   what became of it: each payment is paid at its age, a credit, adjustment, tax withheld or void leaves at its age
--   unpaid, what is open today leaves at today's age, a write-off never leaves. share is what was paid in the week
--   over what was open in it (half of it for what left in that week), drawn towards the share of all methods in the
--   currency with the weight of 50 invoices. Weeks count from the due date: 0 is the first week after it, -1 the last
--   before it; less than -8 counts as -8, and nothing is expected from 26 weeks on.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   currency: Currency of the amounts
--   collection_method: automatic, manual or unknown
--   week: Whole weeks since the due date, from -8 to 25
--   invoices: Invoices of this method and currency, over all weeks
--   at_risk: Amount that was open in the week
--   collected: Part of it that was paid in the week
--   share: Expected part, from 0 to 1
--   as_of: Day up to which the data speaks
with documents as (
  select i.tenant_id, i.connection_id, i.id as invoice_id, i.currency, i.issue_date, a.as_of,
    coalesce(i.collection_method, 'unknown') as collection_method,
    coalesce(i.due_date, i.issue_date + cast(coalesce(i.net_terms_days, 0) as int), i.issue_date) as due_date
  from v_invoices i
  join data_as_of a on a.tenant_id = i.tenant_id and a.connection_id = i.connection_id
  where i.deleted_at is null and not coalesce(i.is_draft, false) and i.issue_date <= a.as_of
),
pieces as (
  select tenant_id, connection_id, invoice_id, kind, event_date, -amount as amount
  from ar_events
  where kind <> 'issue'
  union all
  select tenant_id, connection_id, invoice_id, 'open' as kind, cast(null as date) as event_date,
    sum(amount) as amount
  from ar_events
  group by tenant_id, connection_id, invoice_id
),
aged as (
  select d.tenant_id, d.connection_id, d.currency, d.collection_method, d.as_of, p.amount, p.kind,
    d.issue_date - d.due_date as entry_days,
    case when p.kind = 'write_off' then 9999 else coalesce(p.event_date, d.as_of) - d.due_date end as exit_days
  from pieces p
  join documents d
    on d.tenant_id = p.tenant_id and d.connection_id = p.connection_id and d.invoice_id = p.invoice_id
  where p.amount > 0
),
shares as (
  select a.*, (greatest(a.entry_days, -56) + 56) / 7 as entry_week,
    (greatest(a.exit_days, a.entry_days, -56) + 56) / 7 as exit_week
  from aged a
),
weeks as (
  select cast(g.k as int) as week from generate_series(0, 33) as g(k)
),
exposures as (
  select s.tenant_id, s.connection_id, s.currency, s.collection_method, w.week,
    sum(case when s.kind = 'payment' and s.exit_week = w.week then s.amount else 0 end) as collected,
    sum(case when s.kind <> 'payment' and s.exit_week = w.week then s.amount else 2 * s.amount end) as twice_at_risk
  from shares s
  join weeks w on w.week between s.entry_week and s.exit_week
  group by s.tenant_id, s.connection_id, s.currency, s.collection_method, w.week
),
totals as (
  select tenant_id, connection_id, currency, week, sum(collected) as collected, sum(twice_at_risk) as twice_at_risk
  from exposures
  group by tenant_id, connection_id, currency, week
),
methods as (
  select tenant_id, connection_id, currency, collection_method, as_of, count(*) as invoices
  from documents
  group by tenant_id, connection_id, currency, collection_method, as_of
),
rates as (
  select m.tenant_id, m.connection_id, m.currency, m.collection_method, m.as_of, m.invoices, w.week,
    coalesce(e.collected, 0) as collected, coalesce(e.twice_at_risk, 0) as twice_at_risk,
    case when e.twice_at_risk > 0 then cast(round(
      cast(2 * e.collected as decimal(28, 8)) / cast(e.twice_at_risk as decimal(28, 8)), 8)
      as decimal(18, 8)) end as own,
    case when t.twice_at_risk > 0 then cast(round(
      cast(2 * t.collected as decimal(28, 8)) / cast(t.twice_at_risk as decimal(28, 8)), 8) as decimal(18, 8))
      else cast(0 as decimal(18, 8)) end as every
  from methods m
  cross join weeks w
  left join exposures e
    on e.tenant_id = m.tenant_id and e.connection_id = m.connection_id and e.currency = m.currency
    and e.collection_method = m.collection_method and e.week = w.week
  left join totals t
    on t.tenant_id = m.tenant_id and t.connection_id = m.connection_id and t.currency = m.currency
    and t.week = w.week
)
select tenant_id, connection_id, currency, collection_method, week - 8 as week, invoices,
  cast(round(cast(twice_at_risk as decimal(28, 10)) / 2, 8) as decimal(28, 8)) as at_risk,
  cast(collected as decimal(28, 8)) as collected,
  case when own is null then every
    else cast(round(cast(invoices * own + 50 * every as decimal(28, 10)) / (invoices + 50), 8) as decimal(18, 8))
  end as share,
  as_of
from rates
