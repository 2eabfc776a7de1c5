-- name: price_facts
-- grain: one row per price that the catalog or a subscription names
-- needs: prices, items, plans, addons, subscription_items
-- meaning: What the catalog says of what is billed, under the id by which lines and subscriptions name it: that of a
--   price, or of a plan or addon where these are item and price in one. Deleted ones stay: old lines name them. Of a
--   price that the catalog does not hold only what subscriptions say of it. Of an id that is both a plan's and an addon's
--   nothing is said.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   price_id: The price, plan or addon
--   item_id: The item behind it
--   item_name: Name of the item
--   item_kind: plan, addon or charge
--   line_kind: usage when it is metered, one_off when it is charged once, recurring when every interval; NULL unknown
--   interval_unit: Unit of the billing interval: day, week, month or year
--   interval_count: Units in one billing interval
--   pricing_model: flat_fee, per_unit, tiered, volume or stairstep
--   included_in_mrr: The merchant's own word on whether it counts as recurring revenue
--   is_ambiguous: A plan and an addon have this id, so that a line does not say which is meant
with told as (
  select p.tenant_id, p.connection_id, p.id as price_id, p.item_id, coalesce(i.name, p.name) as item_name,
    coalesce(p.kind, i.kind_raw) as item_kind,
    case
      when i.metered then 'usage'
      when coalesce(p.kind, i.kind_raw) = 'charge' then 'one_off'
      when p.interval_unit is not null then 'recurring'
    end as line_kind,
    p.interval_unit, p.interval_count, p.pricing_model, i.included_in_mrr, 1 as source
  from prices p
  left join items i
    on i.tenant_id = p.tenant_id and i.connection_id = p.connection_id and i.id = p.item_id
  union all
  select tenant_id, connection_id, id as price_id, id as item_id, name, 'plan', 'recurring', interval_unit, interval_count, pricing_model,
    null, 2
  from plans
  union all
  select tenant_id, connection_id, id as price_id, id as item_id, name, 'addon',
    case when is_recurring then 'recurring' when not is_recurring then 'one_off' end, interval_unit, interval_count,
    pricing_model, included_in_mrr, 3
  from addons
  union all
  select tenant_id, connection_id, coalesce(price_id, item_id), min(item_id), null, min(item_kind),
    case when min(item_kind) = 'charge' then 'one_off' end, null, null, null, null, 4
  from subscription_items
  group by tenant_id, connection_id, coalesce(price_id, item_id)
),
ranked as (
  select t.*, row_number() over (partition by t.tenant_id, t.connection_id, t.price_id order by t.source) as nth,
    count(case when t.source in (2, 3) then 1 end) over (partition by t.tenant_id, t.connection_id, t.price_id) > 1
      as is_ambiguous
  from told t
)
select tenant_id, connection_id, price_id, item_id,
  case when not is_ambiguous then item_name end as item_name,
  case when not is_ambiguous then item_kind end as item_kind,
  case when not is_ambiguous then line_kind end as line_kind,
  case when not is_ambiguous then interval_unit end as interval_unit,
  case when not is_ambiguous then interval_count end as interval_count,
  case when not is_ambiguous then pricing_model end as pricing_model,
  case when not is_ambiguous then included_in_mrr end as included_in_mrr, is_ambiguous
from ranked
where nth = 1 and price_id is not null
