select
  _row,
  concat(subscription_id, ':', i['item_price_id']) as id,
  subscription_id,
  i['item_price_id'] as price_id,
  i['item_type'] as item_kind,
  coalesce(quantity(i['quantity_in_decimal']), quantity(i['quantity'])) as quantity,
  coalesce(money(i['unit_price_in_decimal']), minor(i['unit_price'], currency)) as unit_amount,
  coalesce(minor(i['amount'], currency), money(i['amount_in_decimal'])) as amount,
  quantity(i['metered_quantity']) as metered_quantity,
  coalesce(quantity(i['free_quantity_in_decimal']), quantity(i['free_quantity'])) as free_quantity,
  i['trial_end'] as trial_end,
  i['billing_cycles'] as billing_cycles,
  i['item_type'] <> 'charge' as is_recurring
from (
  select _row, id as subscription_id, currency_code as currency, unnest(subscription_items) as i
  from subscriptions
)
