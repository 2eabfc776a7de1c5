-- name: v_subscriptions
-- grain: one row per subscription, deleted ones too
-- needs: subscriptions, subscription_items, customers
-- meaning: The canonical subscription: the base row plus what only other streams know. auto_collection,
--   net_terms_days and payer_id are its own settings, else its customer's. next_amount is what its recurring items cost per
--   interval, before discounts and tax, as long as it will be billed again. Every other column is that of the table
--   subscriptions.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: The provider's id of the subscription
--   customer_id: Who is billed
--   status: Unified status: future, trialing, active, non_renewing, past_due, paused, cancelled or expired
--   status_raw: Status as the provider says it
--   currency: ISO 4217 code; the subscription's money columns are in it
--   interval_unit: Unit of the billing interval: day, week, month or year
--   interval_count: Units in one billing interval
--   started_at: When the subscription started or will start
--   activated_at: When it first became active
--   created_at: When it was created
--   trial_start: Start of the trial
--   trial_end: End of the trial
--   current_term_start: Start of the current billing period
--   current_term_end: End of the current billing period, exclusive
--   next_billing_at: When the next invoice is due to be made
--   cancel_at: When a scheduled cancellation takes effect
--   cancelled_at: When it was or will be cancelled
--   ended_at: When service ended or will end
--   cancel_reason: Why it was cancelled, as the provider says it
--   cancel_kind: voluntary, or involuntary when the system cancelled it
--   pause_at: When a pause starts
--   resume_at: When a pause ends
--   remaining_cycles: Billing intervals left; NULL for ever
--   contract_start: First day of the contract term
--   contract_end: Last day of the contract term
--   contract_value: Value of the whole contract term
--   auto_collection: Whether charges are collected without being asked for: on or off; own, else the customer's
--   net_terms_days: Days from issue to due date; its own setting, else its customer's
--   balance_due: Sum of its unpaid invoices
--   due_since: Since when an invoice is unpaid
--   provider_mrr: Monthly recurring revenue as the provider computes it
--   next_amount: Amount of the next renewal before discounts and tax; NULL when there is none
--   lifetime_revenue: Revenue so far as the provider computes it
--   coupon_codes: Coupons applied now, a JSON array of texts
--   group_id: Group of subscriptions that are billed together
--   payer_id: Customer who pays when it is not the owner
--   created_from: Channel in which it was created
--   updated_at: When the provider last changed the subscription
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
with recurring as (
  select tenant_id, connection_id, subscription_id, sum(coalesce(amount, 0)) as amount
  from subscription_items
  where deleted_at is null and coalesce(is_recurring, false)
  group by tenant_id, connection_id, subscription_id
)
select s.tenant_id, s.connection_id, s.provider, s.id, s.customer_id, s.status, s.status_raw, s.currency,
  s.interval_unit, s.interval_count, s.started_at, s.activated_at, s.created_at, s.trial_start, s.trial_end,
  s.current_term_start, s.current_term_end, s.next_billing_at, s.cancel_at, s.cancelled_at, s.ended_at,
  s.cancel_reason, s.cancel_kind, s.pause_at, s.resume_at, s.remaining_cycles, s.contract_start, s.contract_end,
  s.contract_value, coalesce(s.auto_collection, c.auto_collection) as auto_collection,
  coalesce(s.net_terms_days, c.net_terms_days) as net_terms_days, s.balance_due, s.due_since, s.provider_mrr,
  case when s.next_billing_at is not null then cast(coalesce(s.next_amount, r.amount) as decimal(28, 8)) end
    as next_amount,
  s.lifetime_revenue, s.coupon_codes, s.group_id,
  coalesce(s.payer_id, c.payer_id) as payer_id, s.created_from, s.updated_at, s.version,
  s.source_updated_at, s.observed_at, s.row_hash, s.deleted_at
from subscriptions s
left join customers c
  on c.tenant_id = s.tenant_id and c.connection_id = s.connection_id and c.id = s.customer_id
left join recurring r
  on r.tenant_id = s.tenant_id and r.connection_id = s.connection_id and r.subscription_id = s.id
