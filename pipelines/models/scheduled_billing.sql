-- name: scheduled_billing
-- grain: one row per subscription and invoice that is to be expected within 91 days after as_of
-- needs: v_subscriptions, subscription_discounts, invoices, invoice_line_items, invoice_discounts, price_facts,
--   data_as_of
-- meaning: What will be billed if everything goes on. A subscription that bills again is billed on next_billing_at
--   and then every interval, up to cancel_at and for its remaining cycles. The amount is next_amount, less the share
--   of discounts on its last recurring invoice (promotional credits apart) while one of its discounts still runs,
--   plus tax at the rate of that invoice. probability is the chance that it comes to that: each renewal at the rate
--   at which terms of that interval were renewed so far (drawn towards the rate of all intervals with the weight of
--   50 terms), a trial's first invoice at the rate at which trials became active. Usage and changes of plan are not
--   foreseen.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   customer_id: Customer
--   subscription_id: Subscription
--   currency: Currency of the amounts
--   collection_method: automatic, manual or unknown
--   cycle: 0 for the next invoice, 1 for the one after it
--   bill_date: Day on which it is expected
--   net_terms_days: Days from issue to due
--   amount: Total of the invoice, tax included
--   probability: From 0 to 1
--   expected: amount x probability
--   as_of: Day up to which the data speaks
with recursive terms as (
  select l.tenant_id, l.connection_id, coalesce(l.subscription_id, i.subscription_id) as subscription_id, l.period_end,
    min(l.period_start) as period_start
  from invoice_line_items l
  join invoices i
    on i.tenant_id = l.tenant_id and i.connection_id = l.connection_id and i.id = l.invoice_id
  left join price_facts p
    on p.tenant_id = l.tenant_id and p.connection_id = l.connection_id and p.price_id = coalesce(l.price_id, l.item_id)
  where l.line_kind = 'recurring' and coalesce(p.line_kind, 'recurring') = 'recurring'
    and l.period_end > l.period_start and l.deleted_at is null
    and i.deleted_at is null and not coalesce(i.is_void, false)
    and coalesce(l.subscription_id, i.subscription_id) is not null
  group by l.tenant_id, l.connection_id, coalesce(l.subscription_id, i.subscription_id), l.period_end
),
followed as (
  select t.*, lead(t.period_start) over (partition by t.tenant_id, t.connection_id, t.subscription_id
    order by t.period_end) as next_start
  from terms t
),
ended as (
  select f.tenant_id, f.connection_id, s.interval_unit, s.interval_count, count(*) as due,
    sum(case when f.next_start <= f.period_end + 7 then 1 else 0 end) as renewed
  from followed f
  join data_as_of a on a.tenant_id = f.tenant_id and a.connection_id = f.connection_id
  join v_subscriptions s
    on s.tenant_id = f.tenant_id and s.connection_id = f.connection_id and s.id = f.subscription_id
  where f.period_end <= a.as_of - 7
  group by f.tenant_id, f.connection_id, s.interval_unit, s.interval_count
),
every_interval as (
  select tenant_id, connection_id,
    cast(round(cast(sum(renewed) as decimal(28, 10)) / sum(due), 8) as decimal(18, 8)) as rate
  from ended
  group by tenant_id, connection_id
),
trials as (
  select s.tenant_id, s.connection_id,
    cast(round(cast(sum(case when s.activated_at is not null then 1 else 0 end) as decimal(28, 10)) / count(*), 8)
      as decimal(18, 8)) as rate
  from v_subscriptions s
  join data_as_of a on a.tenant_id = s.tenant_id and a.connection_id = s.connection_id
  where cast(s.trial_end as date) <= a.as_of and s.status <> 'trialing' and s.deleted_at is null
  group by s.tenant_id, s.connection_id
),
living as (
  select s.tenant_id, s.connection_id, s.customer_id, s.id as subscription_id, s.currency, s.status, s.interval_unit,
    cast(s.interval_count as int) as interval_count, s.remaining_cycles, cast(s.cancel_at as date) as cancel_date,
    case s.auto_collection when 'on' then 'automatic' when 'off' then 'manual' else 'unknown' end
      as collection_method,
    cast(coalesce(s.net_terms_days, 0) as int) as net_terms_days, s.next_amount, a.as_of,
    greatest(cast(s.next_billing_at as date), a.as_of + 1) as first_date,
    case when s.status = 'trialing' then coalesce(t.rate, cast(1 as decimal(18, 8))) else cast(1 as decimal(18, 8)) end
      as start_rate,
    case
      when n.rate is null then cast(1 as decimal(18, 8))
      when e.due is null then n.rate
      else cast(round(cast(e.renewed + 50 * n.rate as decimal(28, 10)) / (e.due + 50), 8) as decimal(18, 8))
    end as renewal_rate
  from v_subscriptions s
  join data_as_of a on a.tenant_id = s.tenant_id and a.connection_id = s.connection_id
  left join every_interval n on n.tenant_id = s.tenant_id and n.connection_id = s.connection_id
  left join ended e
    on e.tenant_id = s.tenant_id and e.connection_id = s.connection_id and e.interval_unit = s.interval_unit
    and e.interval_count = s.interval_count
  left join trials t on t.tenant_id = s.tenant_id and t.connection_id = s.connection_id
  where s.deleted_at is null and s.next_billing_at is not null and s.next_amount > 0
    and s.status in ('active', 'past_due', 'trialing', 'future', 'non_renewing')
),
rates as (
  select distinct tenant_id, connection_id, renewal_rate from living
),
powers as (
  select tenant_id, connection_id, renewal_rate, cast(0 as int) as cycle, cast(1 as decimal(18, 8)) as power
  from rates
  union all
  select tenant_id, connection_id, renewal_rate, cast(cycle + 1 as int) as cycle,
    cast(round(power * renewal_rate, 8) as decimal(18, 8)) as power
  from powers
  where cycle < 92
),
counted as (
  select l.*, cast(extract(year from l.first_date) as int) * 12 + cast(extract(month from l.first_date) as int) - 1
      as month_no,
    cast(extract(day from l.first_date) as int) as day_no,
    l.interval_count * case l.interval_unit when 'year' then 12 else 1 end as months
  from living l
),
dated as (
  select c.*, p.cycle,
    cast(round(case when c.status = 'trialing' then c.start_rate else c.renewal_rate end * p.power, 8)
      as decimal(18, 8)) as probability,
    case c.interval_unit
      when 'day' then c.first_date + p.cycle * c.interval_count
      when 'week' then c.first_date + p.cycle * c.interval_count * 7
      else least(
        make_date(cast((c.month_no + p.cycle * c.months) / 12 as int),
          cast((c.month_no + p.cycle * c.months) % 12 + 1 as int), 1) + c.day_no - 1,
        make_date(cast((c.month_no + p.cycle * c.months + 1) / 12 as int),
          cast((c.month_no + p.cycle * c.months + 1) % 12 + 1 as int), 1) - 1)
    end as bill_date
  from counted c
  join powers p
    on p.tenant_id = c.tenant_id and p.connection_id = c.connection_id and p.renewal_rate = c.renewal_rate
),
running as (
  select tenant_id, connection_id, subscription_id, max(coalesce(cast(apply_till as date), date '9999-12-31')) as till
  from subscription_discounts
  where deleted_at is null and coalesce(duration, 'forever') <> 'once'
  group by tenant_id, connection_id, subscription_id
),
whole_terms as (
  select distinct l.tenant_id, l.connection_id, coalesce(l.subscription_id, i.subscription_id) as subscription_id,
    i.id as invoice_id, i.issue_date, i.price_type
  from invoice_line_items l
  join invoices i
    on i.tenant_id = l.tenant_id and i.connection_id = l.connection_id and i.id = l.invoice_id
  left join price_facts p
    on p.tenant_id = l.tenant_id and p.connection_id = l.connection_id and p.price_id = coalesce(l.price_id, l.item_id)
  where l.line_kind = 'recurring' and coalesce(p.line_kind, 'recurring') = 'recurring'
    and not coalesce(l.is_proration, false) and l.deleted_at is null
    and i.deleted_at is null and not coalesce(i.is_void, false)
),
newest as (
  select w.*, row_number() over (partition by w.tenant_id, w.connection_id, w.subscription_id
    order by w.issue_date desc, w.invoice_id desc) as nth
  from whole_terms w
),
line_sums as (
  select tenant_id, connection_id, invoice_id, sum(coalesce(amount, 0)) as gross, sum(coalesce(net_amount, 0)) as net,
    sum(coalesce(tax_amount, 0)) as tax
  from invoice_line_items
  where deleted_at is null
  group by tenant_id, connection_id, invoice_id
),
discount_sums as (
  select tenant_id, connection_id, invoice_id, sum(coalesce(amount, 0)) as amount
  from invoice_discounts
  where deleted_at is null and coalesce(kind, '') <> 'promotional_credits'
  group by tenant_id, connection_id, invoice_id
),
last_time as (
  select n.tenant_id, n.connection_id, n.subscription_id,
    case when l.gross > 0 then cast(round(
      cast(l.gross - coalesce(d.amount, 0) as decimal(28, 8)) / cast(l.gross as decimal(28, 8)), 8) as decimal(18, 8))
      else cast(1 as decimal(18, 8)) end as kept,
    case when n.price_type = 'tax_inclusive' or l.net <= 0 then cast(1 as decimal(18, 8)) else cast(round(
      cast(l.net + l.tax as decimal(28, 8)) / cast(l.net as decimal(28, 8)), 8) as decimal(18, 8)) end as taxed
  from newest n
  join line_sums l
    on l.tenant_id = n.tenant_id and l.connection_id = n.connection_id and l.invoice_id = n.invoice_id
  left join discount_sums d
    on d.tenant_id = n.tenant_id and d.connection_id = n.connection_id and d.invoice_id = n.invoice_id
  where n.nth = 1
),
discounted as (
  select d.*, coalesce(l.taxed, cast(1 as decimal(18, 8))) as taxed,
    cast(round(d.next_amount * case when r.till >= d.bill_date then coalesce(l.kept, cast(1 as decimal(18, 8)))
      else cast(1 as decimal(18, 8)) end, 8) as decimal(28, 8)) as reduced
  from dated d
  left join running r
    on r.tenant_id = d.tenant_id and r.connection_id = d.connection_id and r.subscription_id = d.subscription_id
  left join last_time l
    on l.tenant_id = d.tenant_id and l.connection_id = d.connection_id and l.subscription_id = d.subscription_id
  where d.bill_date <= d.as_of + 91
    and (d.cancel_date is null or d.bill_date < d.cancel_date)
    and (d.remaining_cycles is null or d.cycle < d.remaining_cycles)
),
billed as (
  select d.*, cast(round(d.reduced * d.taxed, 8) as decimal(28, 8)) as amount from discounted d
)
select tenant_id, connection_id, customer_id, subscription_id, currency, collection_method, cycle, bill_date,
  net_terms_days, amount, probability, cast(round(amount * probability, 8) as decimal(28, 8)) as expected, as_of
from billed
