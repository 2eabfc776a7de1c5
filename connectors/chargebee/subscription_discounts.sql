-- What a coupon is worth is told by the coupon, so those columns stay NULL for coupons.
select
  _row,
  concat(subscription_id, ':discount:', d['n']) as id,
  subscription_id,
  d['e']['coupon_id'] as coupon_id,
  case d['e']['type'] when 'percentage' then 'percent' when 'fixed_amount' then 'fixed' else d['e']['type'] end as kind,
  case d['e']['type']
    when 'percentage' then quantity(d['e']['percentage'])
    when 'fixed_amount' then quantity(minor(d['e']['amount'], coalesce(d['e']['currency_code'], currency)))
  end as value,
  case d['e']['duration_type']
    when 'one_time' then 'once'
    when 'limited_period' then 'limited'
    else d['e']['duration_type']
  end as duration,
  d['e']['apply_till'] as apply_till,
  d['e']['apply_on'] as apply_on,
  d['e']['item_price_id'] as price_id,
  d['e']['included_in_mrr'] as included_in_mrr
from (
  select _row, id as subscription_id, currency_code as currency, unnest(indexed(discounts)) as d
  from subscriptions
)
union all
select
  _row,
  concat(subscription_id, ':coupon:', c['n']) as id,
  subscription_id,
  c['e']['coupon_id'] as coupon_id,
  null as kind,
  null as value,
  null as duration,
  c['e']['apply_till'] as apply_till,
  null as apply_on,
  null as price_id,
  null as included_in_mrr
from (select _row, id as subscription_id, unnest(indexed(coupons)) as c from subscriptions)
