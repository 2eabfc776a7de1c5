-- name: v_payments
-- grain: one row per payment, refund, authorization or attempt, deleted ones too
-- needs: payments, payment_allocations, refunds
-- meaning: The canonical payment: the base row plus what only other streams know. A successful payment whose refunds
--   reach its amount is `refunded`; a partial refund stays `paid`. invoice_id is filled whenever it settles exactly
--   one invoice. Every other column is that of the table payments, and two are added.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: The provider's id of the transaction
--   customer_id: Who paid
--   subscription_id: The subscription paid for
--   kind: payment, refund, reversal, authorization or attempt; unknown ones as they come
--   status: Unified status: pending, authorized, paid, refunded, voided, cancelled, failed or unknown
--   status_raw: Status as the provider says it
--   amount: Never negative: the kind says in which direction
--   unapplied_amount: Part that settles no invoice yet
--   refund_amount: Part that was paid back
--   transaction_fee: Fee of the payment gateway
--   method: card, direct_debit, bank_transfer, ..., as the provider says it
--   method_detail: Masked number or other detail of the method
--   gateway: The payment gateway
--   gateway_ref: Id at the gateway, else the reference number
--   failure_code: Why it failed, as a code
--   failure_text: Why it failed, in words
--   currency: ISO 4217 code; the payment's money columns are in it
--   exchange_rate: To the merchant's base currency
--   paid_date: Date of the transaction
--   settled_at: When its final status was set
--   invoice_id: The invoice, when it settles exactly one
--   refund_of: The payment that this refund pays back
--   reversal_of: The payment that this reversal takes back
--   initiator: customer or merchant
--   created_at: When it was created
--   updated_at: When the provider last changed it
--   applied_amount: Part that settles invoices
--   credit_note_id: The credit note that a refund pays out
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
with applied as (
  select tenant_id, connection_id, payment_id, sum(coalesce(amount, 0)) as amount,
    case when count(distinct invoice_id) = 1 then min(invoice_id) end as invoice_id
  from payment_allocations
  where kind = 'payment' and reversed_at is null
  group by tenant_id, connection_id, payment_id
),
of_notes as (
  select tenant_id, connection_id, payment_id, min(credit_note_id) as credit_note_id
  from refunds
  group by tenant_id, connection_id, payment_id
)
select p.tenant_id, p.connection_id, p.provider, p.id, p.customer_id, p.subscription_id, p.kind,
  case when p.kind = 'payment' and p.status = 'paid' and p.amount > 0 and p.refund_amount >= p.amount then 'refunded'
    else p.status end as status,
  p.status_raw, p.amount, p.unapplied_amount, p.refund_amount, p.transaction_fee, p.method, p.method_detail,
  p.gateway, p.gateway_ref, p.failure_code, p.failure_text, p.currency, p.exchange_rate, p.paid_date,
  p.settled_at, coalesce(p.invoice_id, a.invoice_id) as invoice_id, p.refund_of, p.reversal_of, p.initiator,
  p.created_at, p.updated_at, cast(coalesce(a.amount, 0) as decimal(28, 8)) as applied_amount,
  n.credit_note_id as credit_note_id, p.version, p.source_updated_at, p.observed_at, p.row_hash, p.deleted_at
from payments p
left join applied a
  on a.tenant_id = p.tenant_id and a.connection_id = p.connection_id and a.payment_id = p.id
left join of_notes n
  on n.tenant_id = p.tenant_id and n.connection_id = p.connection_id and n.payment_id = p.id
