-- name: v_credit_note_line_items
-- grain: one row per line of a credit note, deleted ones too
-- needs: credit_note_line_items, credit_notes, price_facts, mrr_segments
-- meaning: The canonical line of a credit note, in positive amounts: the base row plus what only other streams know. A
--   recurring line is `usage` when the item behind it is metered and `one_off` when that is charged once (see
--   price_facts). is_proration is the provider's word, else, where it changes MRR, whether the line covers less than
--   the interval of its price (see mrr_segments). Every other column is that of the table credit_note_line_items; five
--   facts of the catalog and four of the note are added.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   provider: Provider
--   id: The provider's id of the line
--   line_no: Position in the document, from 0
--   credit_note_id: The credit note
--   subscription_id: The subscription behind the line
--   name: What is charged
--   description: Text printed on the document
--   item_id: The item of the catalog, else the item behind the price
--   price_id: The item's price that is used
--   line_kind: recurring, one_off, setup, usage, discount, tax, credit or rounding; unknown ones as they come
--   period_start: First day of the service period
--   period_end: End of the service period, exclusive
--   quantity: Units
--   unit_amount: Price of one unit
--   amount: Before discounts; with tax when prices include it
--   discount_amount: All discounts on the line
--   tax_amount: Tax on the line
--   tax_rate: Tax rate in per cent
--   tax_rate_id: The provider's id or name of the tax rate
--   net_amount: Amount less discounts, without tax
--   line_total: Net amount and tax
--   is_proration: True when only a part of a period is charged
--   proration_of: The line this one corrects
--   currency: Currency of the credit note, ISO 4217
--   exchange_rate: Exchange rate of the credit note
--   item_name: Name of the item
--   item_kind: plan, addon or charge; NULL when no catalog names it
--   interval_unit: Unit of the billing interval of the price
--   interval_count: Units in one billing interval of the price
--   pricing_model: flat_fee, per_unit, tiered, volume or stairstep
--   customer_id: Who is credited
--   date: Date of the credit note
--   reason: Why the note was made, as the provider says it
--   is_void: The note is void
--   version: Provider's version
--   source_updated_at: Provider's modification time
--   observed_at: First seen in this state
--   row_hash: Hash of the base row
--   deleted_at: Found deleted
select l.tenant_id, l.connection_id, l.provider, l.id, l.line_no, l.credit_note_id, l.subscription_id, l.name,
  l.description, coalesce(l.item_id, f.item_id) as item_id, l.price_id,
  case when l.line_kind = 'recurring' then coalesce(f.line_kind, l.line_kind) else l.line_kind end as line_kind,
  l.period_start, l.period_end, l.quantity, l.unit_amount, l.amount, l.discount_amount, l.tax_amount, l.tax_rate,
  l.tax_rate_id, l.net_amount, l.line_total, coalesce(l.is_proration, m.is_prorated) as is_proration,
  l.proration_of, l.currency, l.exchange_rate, f.item_name as item_name, f.item_kind as item_kind,
  f.interval_unit as interval_unit, f.interval_count as interval_count, f.pricing_model as pricing_model,
  n.customer_id as customer_id, n.date as date, n.reason as reason,
  n.voided_at is not null as is_void, l.version, l.source_updated_at, l.observed_at, l.row_hash, l.deleted_at
from credit_note_line_items l
left join credit_notes n
  on n.tenant_id = l.tenant_id and n.connection_id = l.connection_id and n.id = l.credit_note_id
left join price_facts f
  on f.tenant_id = l.tenant_id and f.connection_id = l.connection_id
  and f.price_id = coalesce(l.price_id, l.item_id)
left join mrr_segments m
  on m.tenant_id = l.tenant_id and m.connection_id = l.connection_id and m.line_id = l.id
