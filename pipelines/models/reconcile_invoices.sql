-- name: reconcile_invoices
-- grain: one row per invoice and violated identity; no rows means that every invoice adds up
-- needs: v_invoices, invoice_line_items, invoice_discounts, invoice_taxes, payment_allocations
-- meaning: Does every invoice agree with itself and its parts, to the last digit? Drafts and deleted invoices are out.
--   D1 total = sub_total + tax (0 when prices include it) + round_off. D2 sub_total = sum of line amounts after
--   discounts. D3 the tax and discount rows sum to the header. D4 tax, discount and net shares of the lines sum to the
--   header. D5 balance = total - paid - credits - adjustments - write-off - withheld + debits (Chargebee's write-off is
--   one of its adjustments and counts once). D6 amount_paid = payments applied and not reversed. D7 refunds leave
--   amount_paid alone, so they never exceed what was paid and credited. D8 a void invoice owes nothing and keeps no
--   payment or credit. D5 to D7 do not apply to void invoices, D7 not after a reversal.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   rule: D1, D2, D3_tax, D3_discount, D4_tax, D4_discount, D4_net, D5, D6, D7, D8_balance, D8_allocations
--   severity: hard, numbers built on it are wrong; or soft, worth a look
--   invoice_id: Invoice
--   currency: Currency of the amounts
--   expected: What the identity asks for
--   actual: What the data says
--   delta: actual - expected
with line_sums as (
  select tenant_id, connection_id, invoice_id,
    sum(coalesce(amount, 0) - coalesce(discount_amount, 0)) as after_discount,
    sum(coalesce(tax_amount, 0)) as tax,
    sum(coalesce(discount_amount, 0)) as discount,
    sum(coalesce(net_amount, 0)) as net
  from invoice_line_items
  where deleted_at is null
  group by tenant_id, connection_id, invoice_id
),
tax_sums as (
  select tenant_id, connection_id, invoice_id, sum(coalesce(amount, 0)) as amount
  from invoice_taxes
  where deleted_at is null
  group by tenant_id, connection_id, invoice_id
),
discount_sums as (
  select tenant_id, connection_id, invoice_id, sum(coalesce(amount, 0)) as amount
  from invoice_discounts
  where deleted_at is null
  group by tenant_id, connection_id, invoice_id
),
allocation_sums as (
  select tenant_id, connection_id, invoice_id,
    sum(case when kind = 'payment' and reversed_at is null then coalesce(amount, 0) else 0 end) as paid,
    sum(case when reversed_at is null then coalesce(amount, 0) else 0 end) as applied,
    max(case when reversed_at is null then 0 else 1 end) as reversals
  from payment_allocations
  where deleted_at is null
  group by tenant_id, connection_id, invoice_id
),
facts as (
  select i.tenant_id, i.connection_id, i.id as invoice_id, i.currency, coalesce(i.is_void, false) as is_void,
    coalesce(i.sub_total, 0) as sub_total, coalesce(i.total, 0) as total, coalesce(i.balance, 0) as balance,
    coalesce(i.total_tax_amount, 0) as tax, coalesce(i.total_discount, 0) as discount,
    case when i.price_type = 'tax_inclusive' then coalesce(i.total_tax_amount, 0) else 0 end as included_tax,
    coalesce(i.round_off, 0) as round_off, coalesce(i.amount_paid, 0) as amount_paid,
    coalesce(i.credits_applied, 0) as credits_applied,
    coalesce(i.credits_applied, 0) + coalesce(i.adjusted_amount, 0) + coalesce(i.tax_withheld, 0)
      - coalesce(i.debit_amount, 0)
      + case when i.provider = 'chargebee' then 0 else coalesce(i.written_off_amount, 0) end as settled_otherwise,
    i.refunded_amount,
    coalesce(l.after_discount, 0) as line_amount, coalesce(l.tax, 0) as line_tax,
    coalesce(l.discount, 0) as line_discount, coalesce(l.net, 0) as line_net,
    coalesce(t.amount, 0) as tax_rows, coalesce(d.amount, 0) as discount_rows,
    coalesce(p.paid, 0) as payments, coalesce(p.applied, 0) as allocations, coalesce(p.reversals, 0) as reversals
  from v_invoices i
  left join line_sums l
    on l.tenant_id = i.tenant_id and l.connection_id = i.connection_id and l.invoice_id = i.id
  left join tax_sums t
    on t.tenant_id = i.tenant_id and t.connection_id = i.connection_id and t.invoice_id = i.id
  left join discount_sums d
    on d.tenant_id = i.tenant_id and d.connection_id = i.connection_id and d.invoice_id = i.id
  left join allocation_sums p
    on p.tenant_id = i.tenant_id and p.connection_id = i.connection_id and p.invoice_id = i.id
  where i.deleted_at is null and not coalesce(i.is_draft, false)
),
checked as (
  select f.tenant_id, f.connection_id, r.rule, f.invoice_id, f.currency,
    cast(case r.rule
      when 'D1' then f.sub_total + f.tax - f.included_tax + f.round_off
      when 'D2' then f.line_amount
      when 'D3_tax' then f.tax_rows
      when 'D3_discount' then f.discount_rows
      when 'D4_tax' then f.line_tax
      when 'D4_discount' then f.line_discount
      when 'D4_net' then f.line_net
      when 'D5' then f.total - f.amount_paid - f.settled_otherwise
      when 'D6' then f.payments
      when 'D7' then least(f.refunded_amount, f.amount_paid + f.credits_applied)
      else 0
    end as decimal(28, 8)) as expected,
    cast(case r.rule
      when 'D1' then f.total
      when 'D2' then f.sub_total
      when 'D3_tax' then f.tax
      when 'D3_discount' then f.discount
      when 'D4_tax' then f.tax
      when 'D4_discount' then f.discount
      when 'D4_net' then f.sub_total - f.included_tax
      when 'D5' then f.balance
      when 'D6' then f.amount_paid
      when 'D7' then f.refunded_amount
      when 'D8_balance' then f.balance
      else f.allocations
    end as decimal(28, 8)) as actual
  from facts f
  cross join (values ('D1', 'always'), ('D2', 'always'), ('D3_tax', 'always'), ('D3_discount', 'always'),
    ('D4_tax', 'always'), ('D4_discount', 'always'), ('D4_net', 'always'), ('D5', 'living'), ('D6', 'living'),
    ('D7', 'refund'), ('D8_balance', 'void'), ('D8_allocations', 'void')) as r(rule, holds)
  where r.holds = 'always'
    or (r.holds = 'living' and not f.is_void)
    or (r.holds = 'refund' and not f.is_void and f.reversals = 0)
    or (r.holds = 'void' and f.is_void)
)
select tenant_id, connection_id, rule, 'hard' as severity, invoice_id, currency, expected, actual,
  cast(actual - expected as decimal(28, 8)) as delta
from checked
where actual <> expected
