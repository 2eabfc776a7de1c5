select
  _row,
  coalesce(l['e']['id'], concat(order_id, ':line:', l['n'])) as id,
  l['n'] as line_no,
  order_id,
  coalesce(l['e']['invoice_id'], invoice) as invoice_id,
  l['e']['invoice_line_item_id'] as invoice_line_id,
  case when l['e']['entity_type'] in ('plan', 'plan_setup', 'addon') then l['e']['entity_id'] end as item_id,
  case
    when l['e']['entity_type'] in ('plan_item_price', 'addon_item_price', 'charge_item_price')
      then l['e']['entity_id']
  end as price_id,
  l['e']['description'] as description,
  l['e']['sku'] as sku,
  l['e']['status'] as status_raw,
  quantity(l['e']['fulfillment_quantity']) as quantity,
  quantity(minor(l['e']['unit_price'], currency)) as unit_amount,
  minor(l['e']['amount'], currency) as amount,
  minor(l['e']['fulfillment_amount'], currency) as fulfilled_amount,
  case
    when l['e']['discount_amount'] is not null or l['e']['item_level_discount_amount'] is not null
      then add(
        minor(coalesce(l['e']['discount_amount'], 0), currency),
        minor(coalesce(l['e']['item_level_discount_amount'], 0), currency)
      )
  end as discount_amount,
  minor(l['e']['tax_amount'], currency) as tax_amount,
  minor(l['e']['amount_paid'], currency) as amount_paid,
  minor(l['e']['amount_adjusted'], currency) as adjusted_amount,
  l['e']['is_shippable'] as is_shippable,
  currency
from (
  select
    _row,
    id as order_id,
    invoice_id as invoice,
    currency_code as currency,
    unnest(indexed(order_line_items)) as l
  from orders
)
