//! `report` and `prove`: what the data says, and whether it holds.
use super::Scene;
use crate::{
    app::{
        project::Project,
        prove::{self, HISTORY_RULE, Proven, RULES, StoredIssue},
        report::{self, Kinds},
    },
    cli::{
        args::{Format, Output, Prove, Report},
        exit::Exit,
        render::{chart, figures, rows, table::Table},
    },
    error::{Error, Kind, Result},
    pipeline::Pipeline,
    time::{Clock, SystemClock},
};
use std::collections::BTreeMap;

pub(super) async fn report(scene: &Scene<'_>, asked: &Report) -> Result<Exit> {
    let (of, kind) = match asked {
        Report::Mrr { of, months } => (of, Kinds::Mrr { months: *months }),
        Report::Movements { of, months } => (of, Kinds::Movements { months: *months }),
        Report::Aging { of, as_of } => (of, Kinds::Aging { as_of: *as_of }),
        Report::Cash { of } => (of, Kinds::Cash),
        Report::Reconcile { of } => (of, Kinds::Reconcile),
    };
    let project = scene.project()?;
    let pipeline = the_pipeline(&project, of.pipeline.as_ref())?;
    let format = of.rows.format(scene.out.output)?;
    let report = report::report(&project, &pipeline, kind, of.currency.as_deref()).await?;
    let Some(first) = report.batches.first() else { return Ok(Exit::Ok) };
    if format != Format::Table || of.rows.out.is_some() {
        scene.out.rows(&first.schema(), &report.batches, &of.rows)?;
        return Ok(Exit::Ok);
    }
    if report.batches.iter().all(|b| b.num_rows() == 0) {
        scene.out.note(report.none);
        return Ok(Exit::Ok);
    }
    let drawn = chart::with_bars(&report.batches, report.bar, &scene.out.data)?;
    let schema = drawn.first().map_or_else(|| first.schema(), arrow::array::RecordBatch::schema);
    let table = rows::table(&schema, &drawn, &scene.out.data)?;
    scene.out.data(&format!("{}, {}\n\n{table}", scene.out.data.bold(report.title), pipeline.name))?;
    Ok(Exit::Ok)
}

/// The named pipeline, or the only one.
fn the_pipeline(project: &Project, name: Option<&String>) -> Result<Pipeline> {
    let mut all = project.pipelines(&name.cloned().into_iter().collect::<Vec<_>>())?;
    if let [_, other, ..] = all.as_slice() {
        return Err(Error::new(Kind::Invalid, "a report is about one pipeline, and this folder has several")
            .hint(format!("name one, for example: tidegate report mrr {}", other.name)));
    }
    Ok(all.remove(0))
}

pub(super) async fn prove(scene: &Scene<'_>, asked: &Prove) -> Result<Exit> {
    let project = scene.project()?;
    let mut all = Vec::new();
    for pipeline in project.pipelines(&asked.pipelines)? {
        all.push(prove::prove(&project, &pipeline, &SystemClock).await?);
    }
    if scene.out.output == Output::Json {
        scene.out.json(&all)?;
    } else {
        for one in &all {
            told(scene, one, asked.ids)?;
        }
    }
    Ok(if all.iter().all(Proven::holds) { Exit::Ok } else { Exit::Unproven })
}

fn told(scene: &Scene<'_>, one: &Proven, ids: usize) -> Result<()> {
    let look = &scene.out.data;
    let (name, questions) = (look.bold(&one.pipeline), look.count(one.questions as u64));
    if one.holds() {
        let holds = look.green("everything holds");
        scene.out.data(&format!("{name}  {holds}, {questions} questions asked\n"))?;
    } else {
        let count = look.count(one.findings.len() as u64);
        let wrong = look.red(&format!("{count} violations"));
        scene.out.data(&format!("{name}  {wrong}, {} new, {questions} questions asked\n", one.new))?;
    }
    let mut rules: BTreeMap<&str, Vec<&StoredIssue>> = BTreeMap::new();
    for issue in &one.findings {
        rules.entry(&issue.rule).or_default().push(issue);
    }
    let now = SystemClock.now();
    for (rule, issues) in rules {
        let meaning = RULES.iter().chain([&HISTORY_RULE]).find(|(name, _)| *name == rule).map_or("", |r| r.1);
        scene.out.data(&format!(
            "\n{}  {meaning}  ({})\n",
            look.bold(rule),
            look.count(issues.len() as u64)
        ))?;
        let mut table =
            Table::new().text("table").text("id").text("currency").number("expected").number("actual");
        table = table.number("delta").text("since").leaves(1).text("what").leaves(2);
        for issue in issues.iter().take(ids) {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            let since = issue.first_seen.map_or_else(String::new, |at| figures::relative(at, now));
            table.row(vec![
                issue.entity.clone(),
                issue.id.clone(),
                text(&issue.currency),
                text(&issue.expected),
                text(&issue.actual),
                text(&issue.delta),
                since,
                issue.message.clone(),
            ]);
        }
        scene.out.table(&table)?;
        if issues.len() > ids {
            scene.out.data(&format!("and {} more: --ids {}\n", issues.len() - ids, issues.len()))?;
        }
    }
    if !one.holds() && one.quarantined > 0 {
        scene.out.note(&format!(
            "{} records are in quarantine, and what they say is missing: tidegate quarantine list {}",
            one.quarantined, one.pipeline
        ));
    }
    if !one.not_judged.is_empty() {
        scene.out.note(&format!(
            "not judged, because `start` leaves older documents out: {}",
            one.not_judged.join(", ")
        ));
    }
    if !one.resolved.is_empty() {
        scene.out.note(&format!("{} earlier issues hold again and are resolved", one.resolved.len()));
    }
    if !one.values.is_empty() {
        scene.out.note(&format!(
            "{} values did not fit their column and are NULL: tidegate query --pipeline {} \"select * from \
             quality_issues where column_name <> '' and resolved_at is null\"",
            one.values.len(),
            one.pipeline
        ));
    }
    Ok(())
}
