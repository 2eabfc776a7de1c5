-- name: mrr_segments
-- grain: one row per recurring line of an invoice or credit note that adds to or takes from MRR
-- needs: invoices, invoice_line_items, credit_notes, credit_note_line_items, subscriptions, price_facts, data_as_of
-- meaning: From when to when a recurring line counts, and how much it is a month. Every recurring line of an issued,
--   not void, not deleted invoice runs over its own period [start, end) with net_amount / months. Lines of credit
--   notes for a subscription change run negative. months: the price's interval when known, else n when the period is
--   n whole months (anchored on any day, month ends too), else days * 12 / 365; a week is 12 / 52, a day 12 / 365. A
--   price's interval is the longest whole period it was ever billed for, else the catalog's, else the subscription's.
--   Lines of what the catalog calls metered or charged once (see price_facts) are out. A prorated line
--   (is_proration, or when NULL a period shorter than the interval) is grossed up to the full interval that ends with
--   it. A gap after the last line of a subscription that is alive (active, non_renewing, past_due, or ended later) is
--   bridged for up to 7 days. Periods are cut at ended_at; it is in UTC, so an end within a day of the period's end
--   is taken as that end. Discounts of every duration are deducted; tax, one-off lines and usage are out.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   customer_id: Customer
--   subscription_id: Subscription; NULL when neither line nor invoice names one
--   line_id: Line of the invoice or credit note
--   currency: Currency of mrr
--   start_date: First day on which it counts
--   end_date: First day on which it no longer counts
--   mrr: Amount a month; negative for credits
--   is_prorated: The line is a part of a full interval
with charged as (
  select l.tenant_id, l.connection_id, i.customer_id, i.currency, l.id as line_id, i.issue_date as charged_on,
    coalesce(l.subscription_id, i.subscription_id) as subscription_id,
    coalesce(l.price_id, l.item_id) as price_id, l.is_proration, l.period_start, l.period_end, l.net_amount
  from invoice_line_items l
  join invoices i
    on i.tenant_id = l.tenant_id and i.connection_id = l.connection_id and i.id = l.invoice_id
  where l.line_kind = 'recurring' and l.period_end > l.period_start and l.deleted_at is null
    and i.deleted_at is null and not coalesce(i.is_draft, false) and not coalesce(i.is_void, false)
    and coalesce(i.doc_class, 'invoice') = 'invoice'
  union all
  select l.tenant_id, l.connection_id, i.customer_id, i.currency, l.id as line_id, n.date as charged_on,
    coalesce(l.subscription_id, i.subscription_id) as subscription_id,
    coalesce(l.price_id, l.item_id) as price_id, l.is_proration, l.period_start, l.period_end,
    -l.net_amount as net_amount
  from credit_note_line_items l
  join credit_notes n
    on n.tenant_id = l.tenant_id and n.connection_id = l.connection_id and n.id = l.credit_note_id
  join invoices i
    on i.tenant_id = n.tenant_id and i.connection_id = n.connection_id and i.id = n.invoice_id
  where l.line_kind = 'recurring' and l.period_end > l.period_start and l.deleted_at is null
    and n.reason = 'subscription_change' and n.voided_at is null and n.deleted_at is null
    and i.deleted_at is null and not coalesce(i.is_draft, false) and not coalesce(i.is_void, false)
    and coalesce(i.doc_class, 'invoice') = 'invoice'
),
dated as (
  select c.*,
    cast(extract(year from c.period_start) as int) * 12 + cast(extract(month from c.period_start) as int) - 1
      as start_month,
    cast(extract(year from c.period_end) as int) * 12 + cast(extract(month from c.period_end) as int) - 1
      as end_month,
    cast(extract(day from c.period_start) as int) as start_day,
    cast(extract(day from c.period_end) as int) as end_day,
    cast(extract(day from c.period_start + 1) as int) = 1 as starts_last_day,
    cast(extract(day from c.period_end + 1) as int) = 1 as ends_last_day,
    c.period_end - c.period_start as days, f.interval_unit as catalog_unit, f.interval_count as catalog_count,
    coalesce(f.is_ambiguous, false) as is_ambiguous
  from charged c
  join data_as_of a on a.tenant_id = c.tenant_id and a.connection_id = c.connection_id
  left join price_facts f
    on f.tenant_id = c.tenant_id and f.connection_id = c.connection_id and f.price_id = c.price_id
  where c.charged_on <= a.as_of
    and coalesce(f.line_kind, 'recurring') = 'recurring'
),
anchored as (
  select d.*,
    case when d.end_month - d.start_month between 1 and 60
      and (d.end_day = d.start_day
        or (d.end_day < d.start_day and d.ends_last_day)
        or (d.end_day > d.start_day and d.starts_last_day))
      then d.end_month - d.start_month end as whole_months
  from dated d
),
priced as (
  select a.*,
    max(case when a.price_id is not null and not a.is_ambiguous and a.net_amount > 0 and not coalesce(a.is_proration, false)
      then a.whole_months end)
      over (partition by a.tenant_id, a.connection_id, a.price_id) as price_months
  from anchored a
),
known as (
  select p.*, s.status as subscription_status, s.deleted_at as subscription_deleted_at,
    coalesce(p.catalog_unit, s.interval_unit) as interval_unit,
    cast(case when p.catalog_unit is null then s.interval_count else p.catalog_count end as int) as interval_count,
    case when s.status in ('active', 'past_due') then null
      when s.status = 'non_renewing' then cast(coalesce(s.ended_at, s.cancel_at) as date)
      else cast(s.ended_at as date) end as ended
  from priced p
  left join subscriptions s
    on s.tenant_id = p.tenant_id and s.connection_id = p.connection_id and s.id = p.subscription_id
),
timed as (
  select p.*,
    case when p.interval_unit in ('week', 'day') then null
      else coalesce(p.price_months, p.interval_count * case p.interval_unit when 'year' then 12 when 'month' then 1 end)
    end as full_months,
    p.interval_count * case p.interval_unit when 'week' then 7 when 'day' then 1 end as full_days
  from known p
),
full_periods as (
  select k.*,
    case when k.full_months is not null then least(
      make_date(cast((k.end_month - k.full_months) / 12 as int), cast((k.end_month - k.full_months) % 12 + 1 as int), 1)
        + k.end_day - 1,
      make_date(cast((k.end_month - k.full_months + 1) / 12 as int),
        cast((k.end_month - k.full_months + 1) % 12 + 1 as int), 1) - 1) end as full_start
  from timed k
),
classed as (
  select f.*,
    case
      when not coalesce(f.is_proration, true) then 'whole'
      when f.days < f.full_days then 'part_of_days'
      when f.full_start < f.period_start and coalesce(f.whole_months, 0) < f.full_months then 'part_of_months'
      else 'whole'
    end as class
  from full_periods f
),
factored as (
  select c.*,
    case
      when c.class = 'part_of_months' then c.period_end - c.full_start
      when c.class = 'part_of_days' and c.interval_unit = 'week' then 364
      when c.class = 'part_of_days' then 365
      when c.days = c.full_days and c.interval_unit = 'week' then 52
      when c.days = c.full_days then 365
      when c.whole_months is not null then 1
      else 365
    end as factor,
    case
      when c.class = 'part_of_months' then c.days * c.full_months
      when c.class = 'part_of_days' then 12 * c.days
      when c.days = c.full_days then 12 * c.interval_count
      when c.whole_months is not null then c.whole_months
      else 12 * c.days
    end as divisor,
    max(c.period_end) over (partition by c.tenant_id, c.connection_id, c.subscription_id
      order by c.period_start, c.period_end, c.line_id rows between unbounded preceding and 1 preceding) as reached
  from classed c
),
numbered as (
  select f.*, cast(round(cast(f.net_amount * f.factor as decimal(38, 14)) / f.divisor, 8) as decimal(28, 8)) as mrr,
    sum(case when f.reached >= f.period_start then 0 else 1 end) over (
      partition by f.tenant_id, f.connection_id, f.subscription_id
      order by f.period_start, f.period_end, f.line_id rows between unbounded preceding and current row) as run_no
  from factored f
),
runs as (
  select n.*,
    max(n.period_end) over (partition by n.tenant_id, n.connection_id, n.subscription_id, n.run_no) as run_end,
    min(n.period_start) over (partition by n.tenant_id, n.connection_id, n.subscription_id
      order by n.run_no range between 1 following and unbounded following) as next_start
  from numbered n
),
segments as (
  select r.tenant_id, r.connection_id, r.customer_id, r.subscription_id, r.line_id, r.currency, r.mrr,
    r.class <> 'whole' as is_prorated, r.period_start as start_date,
    case
      when r.ended + 1 < r.period_end then r.ended
      when r.ended <= r.period_end + 1 then r.period_end
      when r.period_end = r.run_end and (r.ended is not null or r.subscription_deleted_at is null
          and r.subscription_status in ('active', 'non_renewing', 'past_due'))
        then least(r.period_end + 7, coalesce(r.next_start, r.period_end + 7), coalesce(r.ended, r.period_end + 7))
      else r.period_end
    end as end_date
  from runs r
)
select tenant_id, connection_id, customer_id, subscription_id, line_id, currency, start_date, end_date, mrr,
  is_prorated
from segments
where end_date > start_date
