-- Plan and addon lines with a service period are recurring; a metered line is usage. A tax rate is known
-- by its name, when a line has one tax only; the item behind a price stands in the catalog.
select
  _row,
  id,
  line_no,
  invoice_id,
  subscription_id,
  name,
  description,
  item_id,
  price_id,
  line_kind,
  period_start,
  period_end,
  quantity,
  unit_amount,
  amount,
  discount_amount,
  tax_amount,
  tax_rate,
  tax_rate_id,
  net_amount,
  add(net_amount, coalesce(tax_amount, zero)) as line_total,
  is_proration,
  proration_of,
  currency,
  exchange_rate,
  custom_fields
from (
  select
    *,
    case
      when price_type = 'tax_inclusive'
        then sub(sub(amount, coalesce(discount_amount, zero)), coalesce(tax_amount, zero))
      else sub(amount, coalesce(discount_amount, zero))
    end as net_amount
  from (
    select
      _row,
      l['e']['id'] as id,
      l['n'] as line_no,
      invoice_id,
      l['e']['subscription_id'] as subscription_id,
      l['e']['entity_description'] as name,
      l['e']['description'] as description,
      case when l['e']['entity_type'] in ('plan', 'plan_setup', 'addon') then l['e']['entity_id'] end as item_id,
      case
        when l['e']['entity_type'] in ('plan_item_price', 'addon_item_price', 'charge_item_price')
          then l['e']['entity_id']
      end as price_id,
      case
        when l['e']['metered'] then 'usage'
        when l['e']['entity_type'] = 'plan_setup' then 'setup'
        when l['e']['entity_type'] in ('plan_item_price', 'addon_item_price', 'plan', 'addon')
          then case when l['e']['date_to'] > l['e']['date_from'] then 'recurring' else 'one_off' end
        when l['e']['entity_type'] in ('charge_item_price', 'adhoc') then 'one_off'
        else l['e']['entity_type']
      end as line_kind,
      local_date(l['e']['date_from'], _zone) as period_start,
      local_date(l['e']['date_to'], _zone) as period_end,
      coalesce(quantity(l['e']['quantity_in_decimal']), quantity(l['e']['quantity'])) as quantity,
      coalesce(
        quantity(l['e']['unit_amount_in_decimal']),
        quantity(minor(l['e']['unit_amount'], currency))
      ) as unit_amount,
      coalesce(minor(l['e']['amount'], currency), money(l['e']['amount_in_decimal'])) as amount,
      case
        when l['e']['discount_amount'] is not null or l['e']['item_level_discount_amount'] is not null
          then add(
            minor(coalesce(l['e']['discount_amount'], 0), currency),
            minor(coalesce(l['e']['item_level_discount_amount'], 0), currency)
          )
      end as discount_amount,
      minor(l['e']['tax_amount'], currency) as tax_amount,
      l['e']['tax_rate'] as tax_rate,
      list_only(taxed, 'tax_name', 'line_item_id', l['e']['id']) as tax_rate_id,
      case l['e']['proration_mode'] when 'partial_term' then true when 'full_term' then false end as is_proration,
      l['e']['reference_line_item_id'] as proration_of,
      currency,
      exchange_rate,
      l['e']['custom_fields'] as custom_fields,
      price_type,
      minor(0, currency) as zero
    from (
      select
        _row,
        _zone,
        id as invoice_id,
        currency_code as currency,
        exchange_rate,
        price_type,
        line_item_taxes as taxed,
        unnest(indexed(line_items)) as l
      from invoices
    )
  )
)
