-- name: reconcile_credit_notes
-- grain: one row per credit note and violated identity; no rows means that every credit note adds up
-- needs: credit_notes, credit_note_line_items, credit_allocations, refunds
-- meaning: Is every amount credited accounted for, to the last digit? Deleted credit notes are out. C2 the total is
--   allocated, refunded or available. C2_void of a void note nothing is. C2_allocated the allocations sum to
--   amount_allocated. C3_refunded the successful refunds sum to amount_refunded. D2 sub_total = sum of line amounts
--   after discounts. D4_total the lines sum to the total before round_off. D2 and D4_total do not apply to a note
--   with a correction of fractions, nor to store credit without lines.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   rule: C2, C2_void, C2_allocated, C3_refunded, D2, D4_total
--   severity: hard, numbers built on it are wrong; or soft, worth a look
--   credit_note_id: Credit note
--   currency: Currency of the amounts
--   expected: What the identity asks for
--   actual: What the data says
--   delta: actual - expected
with line_sums as (
  select tenant_id, connection_id, credit_note_id,
    sum(coalesce(amount, 0) - coalesce(discount_amount, 0)) as after_discount,
    sum(coalesce(line_total, 0)) as line_total
  from credit_note_line_items
  where deleted_at is null
  group by tenant_id, connection_id, credit_note_id
),
allocation_sums as (
  select tenant_id, connection_id, credit_note_id, sum(coalesce(amount, 0)) as amount
  from credit_allocations
  where deleted_at is null
  group by tenant_id, connection_id, credit_note_id
),
refund_sums as (
  select tenant_id, connection_id, credit_note_id, sum(coalesce(amount, 0)) as amount
  from refunds
  where deleted_at is null and status in ('success', 'refunded')
  group by tenant_id, connection_id, credit_note_id
),
facts as (
  select n.tenant_id, n.connection_id, n.id as credit_note_id, n.currency, n.voided_at is not null as is_void,
    coalesce(n.fractional, 0) = 0 and (n.kind <> 'store' or l.line_total is not null) as has_whole_lines,
    coalesce(n.total, 0) as total, coalesce(n.sub_total, 0) as sub_total,
    coalesce(n.round_off, 0) as round_off, coalesce(n.amount_allocated, 0) as allocated,
    coalesce(n.amount_refunded, 0) as refunded, coalesce(n.amount_available, 0) as available,
    coalesce(l.after_discount, 0) as line_amount, coalesce(l.line_total, 0) as line_total,
    coalesce(a.amount, 0) as allocations, coalesce(r.amount, 0) as refunds
  from credit_notes n
  left join line_sums l
    on l.tenant_id = n.tenant_id and l.connection_id = n.connection_id and l.credit_note_id = n.id
  left join allocation_sums a
    on a.tenant_id = n.tenant_id and a.connection_id = n.connection_id and a.credit_note_id = n.id
  left join refund_sums r
    on r.tenant_id = n.tenant_id and r.connection_id = n.connection_id and r.credit_note_id = n.id
  where n.deleted_at is null
),
checked as (
  select f.tenant_id, f.connection_id, r.rule, f.credit_note_id, f.currency,
    cast(case r.rule
      when 'C2' then f.allocated + f.refunded + f.available
      when 'C2_allocated' then f.allocations
      when 'C3_refunded' then f.refunds
      when 'D2' then f.line_amount
      when 'D4_total' then f.line_total
      else 0
    end as decimal(28, 8)) as expected,
    cast(case r.rule
      when 'C2' then f.total
      when 'C2_allocated' then f.allocated
      when 'C3_refunded' then f.refunded
      when 'D2' then f.sub_total
      when 'D4_total' then f.total - f.round_off
      else f.allocated + f.refunded + f.available
    end as decimal(28, 8)) as actual
  from facts f
  cross join (values ('C2', 'living'), ('C2_void', 'void'), ('C2_allocated', 'always'), ('C3_refunded', 'always'),
    ('D2', 'whole'), ('D4_total', 'whole')) as r(rule, holds)
  where r.holds = 'always'
    or (r.holds = 'living' and not f.is_void)
    or (r.holds = 'void' and f.is_void)
    or (r.holds = 'whole' and f.has_whole_lines)
)
select tenant_id, connection_id, rule, 'hard' as severity, credit_note_id, currency, expected, actual,
  cast(actual - expected as decimal(28, 8)) as delta
from checked
where actual <> expected
