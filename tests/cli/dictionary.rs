//! What can be looked up: connectors with rights and single records, tables with what a pipeline adds to them.
use super::{site::Served, stage::Stage};
use serde_json::{Value, json};

fn row<'a>(rows: &'a Value, key: &str, value: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|r| r[key] == value).unwrap_or(&Value::Null)
}

#[test]
fn a_connector_shows_its_least_rights_and_which_records_can_be_read_singly() {
    let stage = Stage::new("http://127.0.0.1:1/api/v2");
    let shown = stage.run(&["connectors", "show", "chargebee", "-o", "json"]).expect(0).json();
    assert!(shown["rights"].as_str().unwrap().contains("read-only key"), "{}", shown["rights"]);
    let single = |stream: &str| row(&shown["streams"], "stream", stream)["single"].clone();
    assert_eq!((single("invoices"), single("usages")), (json!(true), json!(false)));
    let text = stage.run(&["connectors", "show", "chargebee"]).expect(0).out;
    assert!(text.contains("least rights: a read-only key") && text.contains("Read by id too"), "{text}");
    let line = text.lines().find(|l| l.starts_with("Read by id too")).unwrap();
    assert!(line.contains(" invoices,") && !line.contains("usages"), "{line}");
    // What it says is what backfill does.
    let told = stage.run(&["backfill", "acme", "--stream", "usages", "--ids", "u1", "--yes"]).expect(2).err;
    assert!(told.contains("usages"), "{told}");
}

#[test]
fn the_dictionary_lists_every_table_that_can_be_asked() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let tables = stage.run(&["schema", "-o", "json"]).expect(0).json();
    let issues = row(&tables, "table", "quality_issues");
    assert_eq!((&issues["fed_by"], &issues["columns"]), (&json!(""), &json!("12")));
    let listed = stage.run(&["schema", "quality_issues", "-o", "json"]).expect(0).json();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|r| r["column"].as_str().unwrap()).collect();
    let select = format!("select {} from quality_issues", names.join(", "));
    stage.run(&["query", &select]).expect(0);
    assert!(listed.as_array().unwrap().iter().all(|r| r["meaning"] != ""), "{listed}");
    let told = stage.run(&["schema", "quality_isues"]).expect(2).err;
    assert!(told.contains("did you mean `quality_issues`"), "{told}");
}

#[test]
fn with_a_pipeline_the_dictionary_has_its_promoted_fields_and_overlays() {
    let stage = Stage::new("http://127.0.0.1:1/api/v2");
    stage.edit(
        "limits:",
        "custom: { customers: { cf_region: text } }\noverlays: { customers: o.sql }\nlimits:",
    );
    stage.write("pipelines/o.sql", "select * replace (lower(country) as country) from mapped");
    let of =
        |more: &[&str]| stage.run(&[&["schema", "customers", "-o", "json"], more].concat()).expect(0).json();
    assert_eq!(row(&of(&[]), "column", "cf_region"), &Value::Null);
    let rows = of(&["--pipeline", "acme"]);
    assert_eq!(row(&rows, "column", "cf_region")["notes"], "pii promoted");
    assert_eq!(row(&rows, "column", "country")["notes"], "overlay");
    assert_eq!(row(&rows, "column", "city")["notes"], "pii");
    let told = stage.run(&["schema", "--pipeline", "acm"]).expect(2).err;
    assert!(told.contains("did you mean `acme`"), "{told}");
}
