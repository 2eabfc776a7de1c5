-- name: v_credit_notes
-- grain: one row per credit note, deleted ones too
-- needs: credit_notes, credit_note_line_items, refunds, invoices
-- meaning: The canonical credit note: the base row plus what only other streams know. subscription_id is its own,
--   else that of the invoice it corrects; discount is the sum of its lines'. Every other column is that of the table
--   credit_notes, and four are added.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: The provider's id of the credit note
--   number: Number printed on the document
--   customer_id: Who is credited
--   subscription_id: The subscription it is about, else the invoice's
--   invoice_id: The invoice it corrects
--   kind: adjustment, refundable or store
--   status_raw: Status as the provider says it
--   reason: Why it was made, as the provider says it
--   currency: ISO 4217 code; the money columns of the note, its lines and other children are in it
--   date: Date of the document
--   voided_at: When it was voided
--   sub_total: Sum of the lines
--   tax: Sum of all taxes
--   discount: Sum of all discounts
--   total: What the document gives
--   round_off: Rounding of the total
--   fractional: Correction of fractions of the smallest unit
--   amount_allocated: Used to settle invoices
--   amount_refunded: Paid back
--   amount_available: Not used yet
--   invoice_number: Number of the invoice it corrects
--   invoice_issue_date: Date of the invoice it corrects
--   refunded_at: When it was last paid back
--   pending_refunds: Refunds on their way
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
with discounted as (
  select tenant_id, connection_id, credit_note_id, sum(coalesce(discount_amount, 0)) as amount
  from credit_note_line_items
  group by tenant_id, connection_id, credit_note_id
),
paid_back as (
  select tenant_id, connection_id, credit_note_id,
    max(case when status in ('success', 'refunded') then refunded_at end) as refunded_at,
    sum(case when status = 'pending' then coalesce(amount, 0) else 0 end) as pending
  from refunds
  group by tenant_id, connection_id, credit_note_id
)
select n.tenant_id, n.connection_id, n.provider, n.id, n.number, n.customer_id,
  coalesce(n.subscription_id, i.subscription_id) as subscription_id, n.invoice_id, n.kind, n.status_raw, n.reason,
  n.currency, n.date, n.voided_at, n.sub_total, n.tax,
  cast(coalesce(n.discount, d.amount, 0) as decimal(28, 8)) as discount, n.total, n.round_off, n.fractional,
  n.amount_allocated, n.amount_refunded, n.amount_available, i.number as invoice_number,
  i.issue_date as invoice_issue_date, b.refunded_at as refunded_at,
  cast(coalesce(b.pending, 0) as decimal(28, 8)) as pending_refunds, n.version, n.source_updated_at,
  n.observed_at, n.row_hash, n.deleted_at
from credit_notes n
left join discounted d
  on d.tenant_id = n.tenant_id and d.connection_id = n.connection_id and d.credit_note_id = n.id
left join paid_back b
  on b.tenant_id = n.tenant_id and b.connection_id = n.connection_id and b.credit_note_id = n.id
left join invoices i
  on i.tenant_id = n.tenant_id and i.connection_id = n.connection_id and i.id = n.invoice_id
