-- A site with catalog 1.0 names a plan and its addons, which are item and price in one; what an event sets off is
-- charged once. A site that shows both shapes means the same by both, so its items alone are taken.
select
  _row,
  concat(subscription_id, ':', i['item_price_id']) as id,
  subscription_id,
  null as item_id,
  i['item_price_id'] as price_id,
  i['item_type'] as item_kind,
  coalesce(quantity(i['quantity_in_decimal']), quantity(i['quantity'])) as quantity,
  coalesce(money(i['unit_price_in_decimal']), minor(i['unit_price'], currency)) as unit_amount,
  coalesce(minor(i['amount'], currency), money(i['amount_in_decimal'])) as amount,
  quantity(i['metered_quantity']) as metered_quantity,
  coalesce(quantity(i['free_quantity_in_decimal']), quantity(i['free_quantity'])) as free_quantity,
  i['trial_end'] as trial_end,
  i['billing_cycles'] as billing_cycles,
  null as remaining_cycles,
  i['item_type'] <> 'charge' as is_recurring
from (
  select _row, id as subscription_id, currency_code as currency, unnest(subscription_items) as i
  from subscriptions
)
union all
select
  _row,
  concat(id, ':plan:', plan_id) as id,
  id as subscription_id,
  plan_id as item_id,
  null as price_id,
  'plan' as item_kind,
  coalesce(quantity(plan_quantity_in_decimal), quantity(plan_quantity)) as quantity,
  coalesce(money(plan_unit_price_in_decimal), minor(plan_unit_price, currency_code)) as unit_amount,
  coalesce(minor(plan_amount, currency_code), money(plan_amount_in_decimal)) as amount,
  null as metered_quantity,
  coalesce(quantity(plan_free_quantity_in_decimal), quantity(plan_free_quantity)) as free_quantity,
  null as trial_end,
  null as billing_cycles,
  remaining_billing_cycles as remaining_cycles,
  true as is_recurring
from subscriptions
where plan_id is not null and coalesce(list_len(subscription_items), 0) = 0
union all
select
  _row,
  concat(subscription_id, ':addon:', a['id']) as id,
  subscription_id,
  a['id'] as item_id,
  null as price_id,
  'addon' as item_kind,
  coalesce(quantity(a['quantity_in_decimal']), quantity(a['quantity'])) as quantity,
  coalesce(money(a['unit_price_in_decimal']), minor(a['unit_price'], currency)) as unit_amount,
  coalesce(minor(a['amount'], currency), money(a['amount_in_decimal'])) as amount,
  null as metered_quantity,
  null as free_quantity,
  a['trial_end'] as trial_end,
  null as billing_cycles,
  a['remaining_billing_cycles'] as remaining_cycles,
  true as is_recurring
from (
  select _row, id as subscription_id, currency_code as currency, unnest(addons) as a
  from subscriptions
  where coalesce(list_len(subscription_items), 0) = 0
)
union all
select
  _row,
  concat(subscription_id, ':', coalesce(e['on_event'], 'event'), ':', e['id']) as id,
  subscription_id,
  e['id'] as item_id,
  null as price_id,
  'charge' as item_kind,
  coalesce(quantity(e['quantity_in_decimal']), quantity(e['quantity'])) as quantity,
  coalesce(money(e['unit_price_in_decimal']), minor(e['unit_price'], currency)) as unit_amount,
  null as amount,
  null as metered_quantity,
  null as free_quantity,
  null as trial_end,
  null as billing_cycles,
  null as remaining_cycles,
  false as is_recurring
from (
  select _row, id as subscription_id, currency_code as currency, unnest(event_based_addons) as e
  from subscriptions
  where coalesce(list_len(subscription_items), 0) = 0
)
