//! `report` and `prove` as a user types them.
use super::{site::Served, stage::Stage, tables};
use arrow::{array::ArrayRef, array::RecordBatch, compute::concat_batches};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::{fs, path::PathBuf, sync::Arc};

fn synced() -> (Served, Stage) {
    let site = Served::company(25);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    (site, stage)
}

#[test]
fn every_report_is_a_table_with_bars_and_the_same_rows_as_json_and_csv() {
    let (_site, stage) = synced();
    let cash = stage.run(&["report", "cash"]).expect(0).out;
    assert!(cash.contains("renewals") && cash.contains('#'), "{cash}");
    for kind in ["mrr", "movements", "aging"] {
        let text = stage.run(&["report", kind]).expect(0).out;
        assert!(text.contains('#') && !text.contains('█'), "{kind}: a pipe gets plain bars:\n{text}");
        let rows = stage.run(&["report", kind, "acme", "-o", "json"]).expect(0).json();
        let rows = rows.as_array().unwrap().clone();
        assert!(!rows.is_empty(), "{kind}");
        let csv = stage.run(&["report", kind, "--format", "csv"]).expect(0).out;
        assert_eq!(csv.lines().count(), rows.len() + 1, "{kind}:\n{csv}");
        let euros = stage.run(&["report", kind, "--currency", "eur", "-o", "json"]).expect(0).json();
        let expected: Vec<_> = rows.iter().filter(|r| r["currency"] == "EUR").cloned().collect();
        assert_eq!(euros.as_array().unwrap(), &expected, "{kind}");
        assert!(expected.len() < rows.len(), "{kind}: several currencies, each in rows of its own");
    }
    let none = stage.run(&["report", "reconcile"]).expect(0);
    assert!(none.out.is_empty() && none.err.contains("every invoice"), "{none:?}");
    let months = stage.run(&["report", "mrr", "--months", "2", "-o", "json"]).expect(0).json();
    let months: std::collections::BTreeSet<String> =
        months.as_array().unwrap().iter().map(|r| r["month"].as_str().unwrap().to_owned()).collect();
    assert_eq!(months.len(), 2, "{months:?}");
}

#[test]
fn aging_goes_back_in_time_but_not_ahead() {
    let (_site, stage) = synced();
    let balance = |arguments: &[&str]| {
        let rows = stage.run(&[&["report", "aging", "-o", "json"][..], arguments].concat()).expect(0).json();
        rows.as_array().unwrap().iter().map(|r| r["balance"].to_string()).collect::<Vec<_>>()
    };
    let today = balance(&[]);
    let last = &tables::select(&stage, "select cast(as_of as varchar) as day from data_as_of")[0]["day"];
    assert_eq!(balance(&["--as-of", last.as_str().unwrap()]), today);
    let before =
        &tables::select(&stage, "select cast(as_of - 40 as varchar) as day from data_as_of")[0]["day"];
    assert_ne!(balance(&["--as-of", before.as_str().unwrap()]), today);
    let error = stage.run(&["report", "aging", "--as-of", "2999-01-01", "-o", "json"]).expect(2).error();
    assert!(error["what"].as_str().unwrap().contains("2999-01-01 is not known yet"), "{error}");
    stage.run(&["report", "aging", "--as-of", "yesterday"]).expect(2);
    stage.run(&["report", "agin"]).expect(2);
}

/// Adds a cent to the amount of one row, in whichever file of the table it is. What was there before.
fn spoil(stage: &Stage, id: &str) -> (PathBuf, Vec<u8>) {
    let current = |file: &PathBuf| file.starts_with(stage.path("lake/invoice_line_items"));
    for month in stage.files().into_iter().filter(current) {
        let before = fs::read(&month).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&month).unwrap()).unwrap();
        let schema = reader.schema().clone();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let all = concat_batches(&schema, &batches).unwrap();
        let ids = all.column_by_name("id").unwrap();
        let ids = ids.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        let Some(at) = ids.iter().position(|i| i == Some(id)) else { continue };
        let place = schema.index_of("amount").unwrap();
        let amounts = all.column(place).as_any().downcast_ref::<arrow::array::Decimal128Array>().unwrap();
        let changed =
            amounts.iter().enumerate().map(|(i, a)| if i == at { a.map(|a| a + 1_000_000) } else { a });
        let changed: arrow::array::Decimal128Array = changed.collect();
        let mut columns: Vec<ArrayRef> = all.columns().to_vec();
        columns[place] = Arc::new(changed.with_precision_and_scale(28, 8).unwrap());
        let spoiled = RecordBatch::try_new(schema.clone(), columns).unwrap();
        let mut writer = ArrowWriter::try_new(fs::File::create(&month).unwrap(), schema, None).unwrap();
        writer.write(&spoiled).unwrap();
        writer.close().unwrap();
        return (month, before);
    }
    panic!("no line {id}");
}

#[test]
fn prove_names_what_does_not_hold_exits_with_5_and_resolves_it_when_it_holds_again() {
    let (_site, stage) = synced();
    let clean = stage.run(&["prove"]).expect(0);
    assert!(clean.out.contains("everything holds"), "{clean:?}");
    let line = &tables::select(
        &stage,
        "select l.id, l.invoice_id from invoice_line_items l join invoices i on i.id = l.invoice_id \
         where i.status = 'paid' and i.deleted_at is null order by l.id limit 1",
    )[0];
    let (id, invoice) = (line["id"].as_str().unwrap(), line["invoice_id"].as_str().unwrap());
    let (file, before) = spoil(&stage, id);

    let told = stage.run(&["prove", "acme", "-o", "json"]).expect(5).json();
    let named: Vec<String> = told[0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| format!("{} {} {}", f["rule"], f["entity"], f["id"]).replace('"', ""))
        .collect();
    assert_eq!(named, [format!("D2 invoices {invoice}"), format!("H1 invoice_line_items {id}")]);
    assert_eq!(told[0]["new"], 2);
    assert!(["0.01", "-0.01"].contains(&told[0]["findings"][0]["delta"].as_str().unwrap()), "{told}");
    let again = stage.run(&["prove"]).expect(5).out;
    assert!(again.contains("2 violations, 0 new") && again.contains(invoice), "{again}");

    fs::write(file, before).unwrap();
    let told = stage.run(&["prove", "-o", "json"]).expect(0).json();
    assert_eq!(told[0]["resolved"].as_array().unwrap().len(), 2, "{told}");
    let kept = tables::select(
        &stage,
        "select rule from quality_issues where resolved_at > first_seen order by rule",
    );
    assert_eq!(kept.iter().map(|r| r["rule"].as_str().unwrap()).collect::<Vec<_>>(), ["D2", "H1"]);
}

#[test]
fn tax_that_a_customer_withheld_is_an_allocation_with_its_date() {
    let site = Served::company(250);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let rows = tables::select(
        &stage,
        "select i.id, sum(a.amount) = max(i.tax_withheld) as whole, min(a.applied_date) is not null as dated \
         from invoices i left join payment_allocations a on a.invoice_id = i.id and a.kind = 'tax_withheld' \
         where i.tax_withheld > 0 group by i.id",
    );
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|r| r["whole"] == true && r["dated"] == true), "{rows:?}");
}
