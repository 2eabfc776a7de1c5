//! What does Chargebee say of the few things for sale that are told of at length? Descriptions, notes, constraints.
use super::ProductCatalog;
use crate::sim::{
    json::Object,
    world::{
        catalog::{Item, ItemKind},
        model::{entity_of, is_told_at_length},
        ware::{Details, Ware},
    },
};

pub(super) fn family(o: &mut Object, ware: &Ware) {
    o.opt("cf_buyer", is_told_at_length(&ware.id).then_some("Zo\u{eb}"));
}

pub(super) fn item(o: &mut Object, ware: &Ware) {
    let is = |item: Item| ware.id == item.slug();
    o.opt("description", is(Item::Seats).then_some("People who may log in"));
    if is(Item::Basic) {
        o.raw("applicable_items", r#"[{"id":"seats","object":"applicable_item"}]"#);
    }
    if is(Item::Pro) {
        let seats = r#"{"item_id":"seats","item_type":"addon","quantity":1,"object":"bundle_item"}"#;
        o.raw("bundle_items", &format!("[{seats}]"));
    }
}

/// What prices, plans and addons have in common.
fn sold(o: &mut Object, meta: &str) {
    o.put("description", "All of it").put("invoice_notes", "Thank you").put("cf_team", "core");
    o.raw(meta, r#"{"tier":"gold"}"#);
}

pub(super) fn price(o: &mut Object, ware: &Ware) {
    let Details::Price { item, .. } = &ware.details else { return };
    o.opt("parent_item_id", (*item == Item::Seats.slug()).then_some(Item::Pro.slug()));
    let calls = *item == Item::ApiCalls.slug();
    o.opt("usage_accumulation_reset_frequency", calls.then_some("subscription_billing_frequency"));
    o.opt("business_entity_id", entity_of(&ware.id));
    if is_told_at_length(&ware.id) {
        sold(o, "metadata");
        o.put("billing_cycles", 24).put("price_variant_id", "pv_north");
        o.put("shipping_period", 1).put("shipping_period_unit", "month");
    }
}

pub(super) fn plan_or_addon(o: &mut Object, ware: &Ware) {
    let Details::Price { kind, .. } = &ware.details else { return };
    if *kind == ItemKind::Plan && is_told_at_length(&ware.id) {
        sold(o, "meta_data");
        o.put("billing_cycles", 24).put("tax_code", "9983");
        o.raw("attached_addons", r#"[{"id":"seats-USD-Monthly","type":"recommended","quantity":1}]"#);
        o.raw("event_based_addons", r#"[{"id":"setup-USD","on_event":"subscription_creation"}]"#);
    }
    if *kind == ItemKind::Addon && ware.id.starts_with(Item::Seats.slug()) {
        sold(o, "meta_data");
        o.put("tax_code", "9983").put("sku", "SKU-2").put("accounting_code", "4410");
    }
}

pub(super) fn coupon(o: &mut Object, ware: &Ware, catalog: ProductCatalog) {
    let Details::Coupon { specific, .. } = &ware.details else { return };
    o.put("apply_on", if *specific { "each_specified_item" } else { "invoice_amount" });
    if is_told_at_length(&ware.id) {
        o.put("valid_from", ware.created_at)
            .put("cf_owner", "ops")
            .put("invoice_name", "Campaign")
            .raw("meta_data", r#"{"wave":1}"#);
        o.raw("coupon_constraints", r#"[{"entity_type":"customer","type":"new_customer"}]"#);
    }
    match catalog {
        ProductCatalog::V1 if *specific => {
            o.put("plan_constraint", "specific").raw("plan_ids", r#"["pro-USD-Monthly"]"#);
            o.put("addon_constraint", "specific").raw("addon_ids", r#"["seats-USD-Monthly"]"#);
        }
        ProductCatalog::V2 if *specific => {
            let ids =
                r#"{"item_type":"addon","constraint":"specific","item_price_ids":["seats-USD-Monthly"]}"#;
            o.raw("item_constraints", &format!("[{ids}]"));
            let criteria = r#"{"item_type":"addon","currencies":["USD"]}"#;
            o.raw("item_constraint_criteria", &format!("[{criteria}]"));
        }
        ProductCatalog::V1 | ProductCatalog::V2 => {}
    }
}
