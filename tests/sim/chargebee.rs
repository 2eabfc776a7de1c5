use super::{START, STREAMS, ask, days, get, ids, request, sim, sorted, walk};
use serde_json::Value;
use std::collections::BTreeSet;
use tidegate::{sim::truth, wire::Handler};

#[test]
fn walking_all_pages_gives_every_row_once_in_every_order() {
    let mut sim = sim(1, 40, &[]);
    for (stream, _, created) in STREAMS {
        for limit in ["1", "7", "100"] {
            let base = [("limit", limit), ("include_deleted", "true")];
            let all = walk(&mut sim, START, stream, &base);
            let distinct: BTreeSet<String> = ids(&all).into_iter().collect();
            assert_eq!(distinct.len(), all.len(), "{stream}");
            let world = sim.world();
            let count = match stream {
                "customers" => world.customers().len(),
                "subscriptions" => world.subscriptions().len(),
                "invoices" => world.invoices().len(),
                "credit_notes" => world.notes().len(),
                _ => world.transactions().len(),
            };
            assert_eq!(all.len(), count, "{stream}");
            let times: Vec<i64> = all.iter().map(|r| r[created].as_i64().unwrap()).collect();
            assert!(times.is_sorted(), "{stream} by {created}");
            let down = walk(&mut sim, START, stream, &[base[0], base[1], ("sort_by[desc]", created)]);
            assert_eq!(ids(&down).into_iter().rev().collect::<Vec<_>>(), ids(&all), "{stream} descending");
            if stream != "credit_notes" {
                let updated =
                    walk(&mut sim, START, stream, &[base[0], base[1], ("sort_by[asc]", "updated_at")]);
                assert!(updated.iter().map(|r| r["updated_at"].as_i64().unwrap()).is_sorted(), "{stream}");
                assert_eq!(sorted(ids(&updated)), sorted(ids(&all)), "{stream} by updated_at");
            }
        }
    }
}

#[test]
fn pages_have_ten_records_by_default_and_the_last_has_no_token() {
    let mut sim = sim(1, 40, &[]);
    let page = get(&mut sim, START, "/api/v2/customers", &[("no_such_thing", "1"), ("status", "x")]);
    assert_eq!(page["list"].as_array().unwrap().len(), 10);
    let token: Vec<String> = serde_json::from_str(page["next_offset"].as_str().unwrap()).unwrap();
    assert!(token[0].ends_with("000") && token[1].parse::<u64>().is_ok(), "{token:?}");
    let all = get(&mut sim, START, "/api/v2/customers", &[("limit", "100")]);
    assert!(all.get("next_offset").is_none());
    let none = get(&mut sim, START, "/api/v2/customers", &[("created_at[after]", "1900000000")]);
    assert_eq!(none, serde_json::json!({ "list": [] }));
}

#[test]
fn windows_are_closed_and_after_and_before_are_strict() {
    let mut sim = sim(2, 60, &[]);
    for (stream, _, created) in STREAMS {
        let all = walk(&mut sim, START, stream, &[("limit", "100"), ("include_deleted", "True")]);
        for field in [created, "updated_at"] {
            let mut times: Vec<i64> = all.iter().map(|r| r[field].as_i64().unwrap()).collect();
            times.sort_unstable();
            let (low, high) = (times[times.len() / 4], times[times.len() / 2]);
            let keep = |test: &dyn Fn(i64) -> bool| {
                let rows: Vec<Value> =
                    all.iter().filter(|r| test(r[field].as_i64().unwrap())).cloned().collect();
                sorted(ids(&rows))
            };
            let mut ask = |operator: &str, value: String| {
                let name = format!("{field}[{operator}]");
                let query = [("include_deleted", "true"), ("limit", "9"), (name.as_str(), value.as_str())];
                sorted(ids(&walk(&mut sim, START, stream, &query)))
            };
            assert_eq!(ask("between", format!("[{low},{high}]")), keep(&|t| t >= low && t <= high));
            assert_eq!(ask("between", format!("['{low}', '{high}']")), keep(&|t| t >= low && t <= high));
            assert_eq!(ask("after", low.to_string()), keep(&|t| t > low));
            assert_eq!(ask("before", high.to_string()), keep(&|t| t < high));
            assert_eq!(ask("between", format!("[{high},{low}]")).is_empty(), high > low);
        }
    }
}

#[test]
fn a_window_on_one_field_can_be_walked_in_the_order_of_another() {
    let mut sim = sim(5, 80, &[]);
    let window = format!("[{},{}]", START.secs() - 40 * 86_400, START.secs() - 3 * 86_400);
    let query = [("limit", "3"), ("updated_at[between]", window.as_str()), ("sort_by[asc]", "date")];
    let some = walk(&mut sim, START, "invoices", &query);
    assert!(some.iter().map(|r| r["date"].as_i64().unwrap()).is_sorted());
    let by_time =
        [("limit", "100"), ("updated_at[between]", window.as_str()), ("sort_by[asc]", "updated_at")];
    let same = walk(&mut sim, START, "invoices", &by_time);
    assert!(some.len() > 10);
    assert_eq!(sorted(ids(&some)), sorted(ids(&same)));
    let down = [("limit", "3"), ("updated_at[between]", window.as_str()), ("sort_by[desc]", "date")];
    let down = walk(&mut sim, START, "invoices", &down);
    assert_eq!(ids(&down).into_iter().rev().collect::<Vec<_>>(), ids(&some));
}

#[test]
fn deleted_rows_show_only_when_asked_for() {
    let mut sim = sim(1, 200, &[]);
    let all = walk(&mut sim, START, "invoices", &[("limit", "100"), ("include_deleted", "True")]);
    let living = walk(&mut sim, START, "invoices", &[("limit", "100")]);
    let deleted = all.iter().filter(|r| r["deleted"] == true).count();
    assert!(deleted > 0);
    assert_eq!(living.len() + deleted, all.len());
    assert!(living.iter().all(|r| r["deleted"] == false));
}

#[test]
fn a_wrong_parameter_is_refused_with_its_name() {
    let mut sim = sim(1, 5, &[]);
    let cases = [
        ("customers", "limit", "0"),
        ("customers", "limit", "101"),
        ("customers", "limit", "many"),
        ("customers", "offset", "3"),
        ("customers", "sort_by[asc]", "date"),
        ("invoices", "sort_by[asc]", "created_at"),
        ("credit_notes", "sort_by[asc]", "updated_at"),
        ("invoices", "updated_at[between]", "1,2"),
        ("invoices", "updated_at[after]", "yesterday"),
        ("invoices", "updated_at[is_present]", "maybe"),
    ];
    for (stream, name, value) in cases {
        let response = ask(&mut sim, START, &format!("/api/v2/{stream}"), &[(name, value)]);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 400, "{name}={value}");
        assert_eq!(body["api_error_code"], "param_wrong_value");
        assert_eq!((body["type"].as_str(), body["param"].as_str()), (Some("invalid_request"), Some(name)));
        assert_eq!(body["http_status_code"], 400);
        assert!(body["message"].is_string());
    }
}

#[test]
fn strangers_get_401_and_unknown_rows_404() {
    let mut sim = sim(1, 5, &[]);
    let mut stranger = request("/api/v2/customers", &[]);
    stranger.headers.clear();
    let response = sim.handle(START, &stranger);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, &body["api_error_code"]), (401, &Value::from("api_authentication_failed")));
    for path in ["/api/v2/customers/nobody", "/api/v2/planets", "/"] {
        let response = ask(&mut sim, START, path, &[]);
        assert_eq!(response.status, 404, "{path}");
    }
    let found = get(&mut sim, START, "/api/v2/configurations", &[]);
    assert_eq!(found["configurations"][0]["product_catalog_version"], "v2");
    assert_eq!(found["configurations"][0]["domain"], "acme-test");
}

#[test]
fn every_answer_tells_the_date() {
    let mut sim = sim(1, 5, &[]);
    let response = ask(&mut sim, START, "/api/v2/customers", &[]);
    assert_eq!(response.headers["date"], "Thu, 09 Oct 2025 08:53:20 GMT");
    assert_eq!(response.headers["content-type"], "application/json;charset=utf-8");
}

#[test]
fn a_row_alone_is_the_row_in_the_list() {
    let mut sim = sim(4, 60, &[]);
    for step in 0..5 {
        let now = START.plus(days(step));
        sim.advance(now);
        for (stream, singular, _) in STREAMS {
            for record in walk(&mut sim, now, stream, &[("limit", "100"), ("include_deleted", "true")]) {
                let path = format!("/api/v2/{stream}/{}", record["id"].as_str().unwrap());
                assert_eq!(get(&mut sim, now, &path, &[])[singular], record);
                assert_eq!(record["object"], singular);
            }
        }
    }
}

/// A cached body is only right if nothing in it changes without a new version.
#[test]
fn a_body_never_changes_without_a_new_version() {
    let mut sim = sim(6, 40, &[]);
    let mut seen = std::collections::BTreeMap::new();
    for step in 0..15 {
        let now = START.plus(days(3 * step));
        sim.advance(now);
        sim.world_mut().touch_random(now, 4);
        for (stream, singular, _) in STREAMS {
            for record in walk(&mut sim, now, stream, &[("limit", "100"), ("include_deleted", "true")]) {
                let path = format!("/api/v2/{stream}/{}", record["id"].as_str().unwrap());
                let fresh = get(&mut sim, now, &path, &[])[singular].clone();
                let key = (path, record["resource_version"].as_i64().unwrap());
                assert_eq!(fresh, record, "{key:?}");
                if let Some(old) = seen.insert(key.clone(), record.clone()) {
                    assert_eq!(old, record, "{key:?}");
                }
            }
        }
    }
}

#[test]
fn rows_that_stay_are_never_missed_while_others_come_and_change() {
    let mut sim = sim(9, 60, &[]);
    let before = sorted(ids(&walk(&mut sim, START, "customers", &[("include_deleted", "true")])));
    let (mut token, mut found): (Option<String>, Vec<String>) = (None, Vec::new());
    for minute in 0.. {
        let now = START.plus(std::time::Duration::from_secs(60 * minute));
        sim.world_mut().touch_random(now, 5);
        let mut query = vec![("limit", "4"), ("include_deleted", "true"), ("sort_by[asc]", "created_at")];
        if let Some(token) = &token {
            query.push(("offset", token));
        }
        let page = get(&mut sim, now, "/api/v2/customers", &query);
        found.extend(
            page["list"].as_array().unwrap().iter().map(|e| e["customer"]["id"].as_str().unwrap().to_owned()),
        );
        match page["next_offset"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    let found: BTreeSet<String> = found.into_iter().collect();
    assert!(before.iter().all(|id| found.contains(id)));
}

#[test]
fn null_fields_are_left_out_and_decimals_are_text() {
    let mut sim = sim(1, 200, &[]);
    let customers = walk(&mut sim, START, "customers", &[("limit", "100")]);
    assert!(customers.iter().all(|c| c.as_object().unwrap().values().all(|v| !v.is_null())));
    assert!(
        customers.iter().any(|c| c.get("phone").is_none())
            && customers.iter().any(|c| c.get("phone").is_some())
    );
    assert!(customers.iter().any(|c| c.get("cf_segment").is_some() && c["cf_onboarded"].is_boolean()));
    let invoices = walk(&mut sim, START, "invoices", &[("limit", "100")]);
    let calls = invoices.iter().flat_map(|i| i["line_items"].as_array().unwrap());
    let calls: Vec<&Value> = calls.filter(|l| l["entity_id"] == "api-calls-USD-Monthly").collect();
    assert!(!calls.is_empty());
    for line in calls {
        assert_eq!(line["unit_amount_in_decimal"], "0.00012345");
        assert!(line["quantity_in_decimal"].is_string());
    }
    let size: usize = invoices.iter().map(|i| i.to_string().len()).sum::<usize>() / invoices.len();
    assert!((2_000..4_500).contains(&size), "an invoice has about 3 KB, not {size}");
}

/// The truth is computed apart from the wire; what both say of an invoice must agree.
#[test]
fn wire_and_truth_say_the_same_of_every_invoice() {
    let mut sim = sim(11, 120, &[]);
    let facts = truth::Facts { time_zone: chrono_tz::UTC };
    let tables = truth::expected(sim.world(), truth::Provider::Chargebee, &facts);
    let records = walk(&mut sim, START, "invoices", &[("limit", "100"), ("include_deleted", "true")]);
    assert_eq!(records.len(), tables["invoices"].len());
    for record in &records {
        let row = &tables["invoices"][record["id"].as_str().unwrap()];
        let digits = if record["currency_code"] == "JPY" { 0 } else { 2 };
        for (column, field) in [
            ("total", "total"),
            ("balance", "amount_due"),
            ("amount_paid", "amount_paid"),
            ("sub_total", "sub_total"),
            ("total_tax_amount", "tax"),
            ("adjusted_amount", "amount_adjusted"),
        ] {
            let minor = record[field].as_i64().unwrap();
            let text = truth_money(&row[column], digits);
            assert_eq!(text, minor, "{column} of {record}");
        }
        assert_eq!(row["version"], record["resource_version"].to_string());
        assert_eq!(row["status_raw"], record["status"].as_str().unwrap());
        assert_eq!(row.get("_deleted").is_some(), record["deleted"] == true);
        let lines = tables["invoice_line_items"].values().filter(|l| l["invoice_id"] == row["id"]).count();
        assert_eq!(lines, record["line_items"].as_array().unwrap().len());
    }
}

/// Minor units of a plain decimal.
fn truth_money(text: &str, digits: usize) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<digits$}").parse().unwrap()
}
