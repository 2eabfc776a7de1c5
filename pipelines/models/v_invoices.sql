-- name: v_invoices
-- grain: one row per invoice, deleted ones too
-- needs: invoices, refunds, credit_notes, customers
-- meaning: The canonical invoice: the base row plus what only other streams know. refunded_amount is the sum of the
--   successful refunds of the invoice, directly or through its credit notes. A paid invoice whose refunds reach
--   amount_paid is `refunded`; a partial refund stays `paid`. Every other column is that of the table invoices.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: Invoice
--   number: Number as printed
--   customer_id: Customer
--   subscription_id: Subscription; NULL when it bills several
--   is_recurring: Bills a recurring charge
--   status: pending, paid, failed, cancelled, refunded, draft, or the provider's own word
--   status_raw: Provider's word
--   doc_class: invoice, order, proforma, parent, child
--   is_void: Voided
--   is_draft: Not issued yet
--   is_disputed: A dispute is open
--   issue_date: Document date
--   due_date: Due date
--   issued_at: Time of issue
--   generated_at: Time at which it became final
--   paid_on_date: Day on which it was paid in full
--   voided_at: Time of voiding
--   period_start: First day of service
--   period_end: Day after the last day of service
--   currency: Currency of all amounts
--   exchange_rate: To the provider's base currency
--   price_type: tax_exclusive or tax_inclusive
--   sub_total: Sum of lines after line discounts
--   total_discount: Sum of discounts
--   total_tax_amount: Tax
--   round_off: Rounding
--   total: Amount of the document
--   amount_paid: Paid in cash; a refund does not change it
--   credits_applied: Paid by credit notes
--   adjusted_amount: Reduced by adjustment notes
--   written_off_amount: Written off
--   tax_withheld: Tax withheld by the payer
--   debit_amount: Debits added
--   refunded_amount: Successful refunds; 0 when none
--   balance: Still to be paid
--   transaction_fee: Fee of the gateway
--   net_terms_days: Days from issue to due
--   collection_method: automatic or manual, by the customer's setting
--   dunning_status: State of dunning
--   next_retry_at: Next attempt to collect
--   attempts: Attempts so far
--   parent_invoice_id: Consolidating invoice
--   po_number: Purchase order
--   memo: Note
--   first_invoice: First one of its customer
--   role: Why it was issued
--   created_at: Created
--   updated_at: Changed, by the provider
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
with refunded as (
  select r.tenant_id, r.connection_id, coalesce(r.invoice_id, n.invoice_id) as invoice_id, sum(r.amount) as amount
  from refunds r
  left join credit_notes n
    on n.tenant_id = r.tenant_id and n.connection_id = r.connection_id and n.id = r.credit_note_id
  where r.deleted_at is null and r.status in ('success', 'refunded')
  group by r.tenant_id, r.connection_id, coalesce(r.invoice_id, n.invoice_id)
),
joined as (
  select i.*,
    cast(coalesce(i.refunded_amount, r.amount, 0) as decimal(28, 8)) as all_refunds,
    coalesce(i.collection_method, case c.auto_collection
      when 'on' then 'automatic' when 'off' then 'manual' else c.auto_collection end) as collected_by
  from invoices i
  left join refunded r
    on r.tenant_id = i.tenant_id and r.connection_id = i.connection_id and r.invoice_id = i.id
  left join customers c
    on c.tenant_id = i.tenant_id and c.connection_id = i.connection_id and c.id = i.customer_id
)
select tenant_id, connection_id, provider, id, number, customer_id, subscription_id, is_recurring,
  case when status = 'paid' and amount_paid > 0 and all_refunds >= amount_paid then 'refunded' else status end
    as status,
  status_raw, doc_class, is_void, is_draft, is_disputed, issue_date, due_date, issued_at, generated_at, paid_on_date,
  voided_at, period_start, period_end, currency, exchange_rate, price_type, sub_total, total_discount,
  total_tax_amount, round_off, total, amount_paid, credits_applied, adjusted_amount, written_off_amount, tax_withheld,
  debit_amount, all_refunds as refunded_amount, balance, transaction_fee, net_terms_days,
  collected_by as collection_method, dunning_status, next_retry_at, attempts, parent_invoice_id, po_number, memo,
  first_invoice, role, created_at, updated_at, version, source_updated_at, observed_at, row_hash, deleted_at
from joined
