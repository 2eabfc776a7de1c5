-- name: reconcile_payments
-- grain: one row per payment and violated identity; no rows means that every payment adds up
-- needs: payments, payment_allocations, refunds
-- meaning: Is every amount received accounted for, to the last digit? Deleted payments are out. C1 a successful
--   payment is applied to invoices, unapplied, or was refunded from its unapplied part. C1_failed a payment that did
--   not succeed settles nothing. C3_refunds the refunds of a payment sum to its refund_amount. C3 they never exceed
--   it. What was applied to an invoice that is deleted now was applied all the same. A refund without a credit note
--   comes from the unapplied part.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   rule: C1, C1_failed, C3_refunds, C3
--   severity: hard, numbers built on it are wrong; or soft, worth a look
--   payment_id: Payment
--   currency: Currency of the amounts
--   expected: What the identity asks for
--   actual: What the data says
--   delta: actual - expected
with applied_sums as (
  select tenant_id, connection_id, payment_id, sum(coalesce(amount, 0)) as amount
  from payment_allocations
  where kind = 'payment' and payment_id is not null and reversed_at is null
  group by tenant_id, connection_id, payment_id
),
of_notes as (
  select distinct tenant_id, connection_id, payment_id
  from refunds
  where payment_id is not null
),
refund_sums as (
  select p.tenant_id, p.connection_id, p.refund_of as payment_id, sum(coalesce(p.amount, 0)) as amount,
    sum(case when n.payment_id is null then coalesce(p.amount, 0) else 0 end) as from_unapplied
  from payments p
  left join of_notes n
    on n.tenant_id = p.tenant_id and n.connection_id = p.connection_id and n.payment_id = p.id
  where p.kind = 'refund' and p.status = 'refunded' and p.refund_of is not null and p.deleted_at is null
  group by p.tenant_id, p.connection_id, p.refund_of
),
facts as (
  select p.tenant_id, p.connection_id, p.id as payment_id, p.currency, p.status = 'paid' as is_paid,
    coalesce(p.amount, 0) as amount, coalesce(p.unapplied_amount, 0) as unapplied,
    coalesce(p.refund_amount, 0) as refund_amount, coalesce(a.amount, 0) as applied,
    coalesce(r.amount, 0) as refunds, coalesce(r.from_unapplied, 0) as from_unapplied
  from payments p
  left join applied_sums a
    on a.tenant_id = p.tenant_id and a.connection_id = p.connection_id and a.payment_id = p.id
  left join refund_sums r
    on r.tenant_id = p.tenant_id and r.connection_id = p.connection_id and r.payment_id = p.id
  where p.kind = 'payment' and p.deleted_at is null
),
checked as (
  select f.tenant_id, f.connection_id, r.rule, f.payment_id, f.currency,
    cast(case r.rule
      when 'C1' then f.applied + f.unapplied + f.from_unapplied
      when 'C3_refunds' then f.refunds
      when 'C3' then least(f.refunds, f.amount)
      else 0
    end as decimal(28, 8)) as expected,
    cast(case r.rule
      when 'C1' then f.amount
      when 'C3_refunds' then f.refund_amount
      when 'C3' then f.refunds
      else f.applied
    end as decimal(28, 8)) as actual
  from facts f
  cross join (values ('C1', 'paid'), ('C1_failed', 'unpaid'), ('C3_refunds', 'always'), ('C3', 'always'))
    as r(rule, holds)
  where r.holds = 'always' or (r.holds = 'paid' and f.is_paid) or (r.holds = 'unpaid' and not f.is_paid)
)
select tenant_id, connection_id, rule, 'hard' as severity, payment_id, currency, expected, actual,
  cast(actual - expected as decimal(28, 8)) as delta
from checked
where actual <> expected
