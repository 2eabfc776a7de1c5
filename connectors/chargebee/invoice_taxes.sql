-- Rate and jurisdiction stand beside the lines; they are a tax's own when all lines agree.
select
  _row,
  concat(invoice_id, ':tax:', t['n']) as id,
  invoice_id,
  'tax' as kind,
  minor(t['e']['amount'], currency) as amount,
  rate(list_only(line_item_taxes, 'tax_rate', 'tax_name', t['e']['name'])) as rate,
  t['e']['name'] as name,
  list_only(line_item_taxes, 'tax_juris_name', 'tax_name', t['e']['name']) as jurisdiction
from (
  select _row, id as invoice_id, currency_code as currency, line_item_taxes, unnest(indexed(taxes)) as t
  from invoices
)
