select
  _row,
  concat(invoice_id, ':discount:', d['n']) as id,
  invoice_id,
  d['e']['line_item_id'] as line_id,
  d['e']['entity_type'] as kind,
  d['e']['entity_id'] as source_id,
  minor(d['e']['amount'], currency) as amount,
  d['e']['description'] as name
from (select _row, id as invoice_id, currency_code as currency, unnest(indexed(discounts)) as d from invoices)
