-- name: v_subscription_items
-- grain: one row per item of a subscription, deleted ones too
-- needs: subscription_items, subscriptions
-- meaning: The canonical subscription item: the base row plus what only other streams know. included_in_mrr is the
--   merchant's own word, else whether the item is charged again every interval. Every other column is that of the
--   table subscription_items.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: subscription:item price
--   subscription_id: The subscription
--   item_id: The item of the catalog
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
--   customer_id: Who is billed
--   currency: Currency of the amounts
--   subscription_status: Unified status of the subscription
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
select i.tenant_id, i.connection_id, i.provider, i.id, i.subscription_id, i.item_id, i.price_id, i.item_kind,
  i.quantity, i.unit_amount, i.amount, i.metered_quantity, i.free_quantity, i.trial_end, i.billing_cycles,
  i.remaining_cycles, i.is_recurring, coalesce(i.included_in_mrr, i.is_recurring) as included_in_mrr,
  s.customer_id as customer_id, s.currency as currency, s.status as subscription_status, i.version,
  i.source_updated_at, i.observed_at, i.row_hash, i.deleted_at
from subscription_items i
left join subscriptions s
  on s.tenant_id = i.tenant_id and s.connection_id = i.connection_id and s.id = i.subscription_id
