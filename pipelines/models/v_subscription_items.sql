-- name: v_subscription_items
-- grain: one row per item of a subscription, deleted ones too
-- needs: subscription_items, subscriptions, price_facts
-- meaning: The canonical subscription item: the base row plus what only other streams know. included_in_mrr is the
--   merchant's own word, else whether the item is charged again every interval; item_id is that of the price's item.
--   Every other column is that of the table subscription_items; the catalog's facts and three of the subscription
--   are added.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: subscription:item price; of a site without item prices subscription:plan:id, subscription:addon:id or subscription:EVENT:id
--   subscription_id: The subscription
--   item_id: The item of the catalog, else the item behind the price
--   price_id: The item's price that is used
--   item_kind: plan, addon or charge
--   quantity: Units subscribed to
--   unit_amount: Price of one unit, in the subscription's currency
--   amount: Amount per billing interval, in the subscription's currency
--   metered_quantity: Units used so far in this period
--   free_quantity: Units that cost nothing
--   trial_end: End of the item's own trial
--   billing_cycles: Billing intervals agreed; NULL for ever
--   remaining_cycles: Billing intervals left
--   is_recurring: True when it is charged again every interval
--   included_in_mrr: Whether it counts as recurring revenue
--   item_name: Name of the item
--   interval_unit: Unit of the billing interval of the price
--   interval_count: Units in one billing interval of the price
--   pricing_model: flat_fee, per_unit, tiered, volume or stairstep
--   customer_id: Who is billed
--   currency: Currency of the amounts
--   subscription_status: Unified status of the subscription
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
select i.tenant_id, i.connection_id, i.provider, i.id, i.subscription_id,
  coalesce(i.item_id, f.item_id) as item_id, i.price_id, i.item_kind,
  i.quantity, i.unit_amount, i.amount, i.metered_quantity, i.free_quantity, i.trial_end, i.billing_cycles,
  i.remaining_cycles, i.is_recurring, coalesce(i.included_in_mrr, f.included_in_mrr, i.is_recurring) as included_in_mrr,
  f.item_name as item_name, f.interval_unit as interval_unit, f.interval_count as interval_count,
  f.pricing_model as pricing_model,
  s.customer_id as customer_id, s.currency as currency, s.status as subscription_status, i.version,
  i.source_updated_at, i.observed_at, i.row_hash, i.deleted_at
from subscription_items i
left join subscriptions s
  on s.tenant_id = i.tenant_id and s.connection_id = i.connection_id and s.id = i.subscription_id
left join price_facts f
  on f.tenant_id = i.tenant_id and f.connection_id = i.connection_id
  and f.price_id = coalesce(i.price_id, i.item_id)
