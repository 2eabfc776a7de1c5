//! `demo` and `simulate`.
use super::Scene;
use crate::{
    app::{
        demo::{self, PIPELINE},
        simulate,
    },
    cli::{
        args::{Demo, Output, Simulate},
        exit::Exit,
        render::{figures, progress::View, rows, summary},
    },
    error::Result,
    sim::chaos::Knob,
    time::{Clock, SystemClock},
};

pub(super) async fn demo(scene: &Scene<'_>, asked: &Demo) -> Result<Exit> {
    let out = scene.out;
    let text = out.output == Output::Text;
    let mut view = View::new(out);
    let mut told = Vec::new();
    let mut failed = None;
    let mut show = |scene: demo::Scene<'_>| {
        let shown = match scene {
            demo::Scene::Progress(event) => {
                view.show(SystemClock.now(), &event);
                Ok(())
            }
            scene => {
                view.finish();
                view = View::new(out);
                if text {
                    out.data(&act(out, &scene))
                } else {
                    told.extend(record(&scene));
                    Ok(())
                }
            }
        };
        failed = failed.take().or(shown.err());
    };
    let dir = scene.global.dir.join(&asked.folder);
    demo::demo(&dir, asked.seed, scene.stop.clone(), &mut show).await?;
    if let Some(error) = failed {
        return Err(error);
    }
    if !text {
        out.json(&told)?;
        return Ok(Exit::Ok);
    }
    let dir = dir.display();
    out.data(&format!(
        "\n{}\n  tidegate -C {dir} report movements\n  tidegate -C {dir} query \"select * from ar_open order by balance desc limit 10\"\n  \
         tidegate -C {dir} status\n  tidegate -C {dir} quarantine list {PIPELINE}\n  tidegate -C {dir} prove\n  \
         tidegate schema invoices\n  tidegate init     with your own site\n\n\
         The simulated site ended with the demo, so sync, check and sweep find nobody there. `tidegate simulate` starts \
         one that stays, and says how to read it.\n",
        out.data.bold("Try next")
    ))?;
    Ok(Exit::Ok)
}

/// One scene for a person.
fn act(out: &crate::cli::render::Out, scene: &demo::Scene<'_>) -> String {
    let bold = |text: &str| out.data.bold(text);
    match scene {
        demo::Scene::Serving { url, customers, dir } => format!(
            "A simulated Chargebee site with {customers} customers answers at {url}\nProject and lake: {}\n",
            dir.display()
        ),
        demo::Scene::Syncing(title) => format!("\n{}\n", bold(title)),
        demo::Scene::Progress(_) => String::new(),
        demo::Scene::Synced(outcome) => {
            let mut shown = outcome.summary.clone();
            shown.next.clear();
            let rejected: u64 = shown.streams.iter().map(|s| s.rejected).sum();
            let aside = match rejected {
                0 => String::new(),
                n => format!(
                    "{}: set aside with the reason, not lost; what they say is missing in the tables until they fit\n",
                    figures::counted(n, "record does not fit", "records do not fit")
                ),
            };
            format!("{}{aside}", summary::text(&shown, &out.data))
        }
        demo::Scene::Passed(new) => {
            let new: Vec<String> = new
                .iter()
                .filter(|(_, n)| *n > 0)
                .map(|(name, n)| format!("{} {name}", figures::grouped(*n)))
                .collect();
            format!(
                "\nA month of billing passes: {} are new, others were paid, refunded, voided, edited or deleted.\n\
                 From now on some answers are 5xx, fields nobody declared appear, and a few records do not fit.\n",
                new.join(", ")
            )
        }
        demo::Scene::Answer { title, sql, rows: batches } => {
            let schema = batches.first().map(arrow::array::RecordBatch::schema);
            let table = schema.map(|s| rows::table(&s, batches, &out.data));
            let table = table.transpose().ok().flatten().unwrap_or_default();
            let none = batches.iter().all(|b| b.num_rows() == 0);
            let answer = if none { "none\n".to_owned() } else { table };
            format!("\n{}\n{}\n{answer}", bold(title), faint(sql))
        }
    }
}

fn faint(sql: &str) -> String {
    format!("  {}", sql.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// One scene for a machine.
fn record(scene: &demo::Scene<'_>) -> Option<serde_json::Value> {
    match scene {
        demo::Scene::Synced(outcome) => serde_json::to_value(&outcome.summary).ok(),
        demo::Scene::Answer { title, sql, rows } => {
            let count: usize = rows.iter().map(arrow::array::RecordBatch::num_rows).sum();
            Some(serde_json::json!({ "title": title, "sql": sql, "rows": count }))
        }
        demo::Scene::Serving { .. }
        | demo::Scene::Syncing(_)
        | demo::Scene::Progress(_)
        | demo::Scene::Passed(_) => None,
    }
}

pub(super) async fn simulate(scene: &Scene<'_>, asked: &Simulate) -> Result<Exit> {
    let mut knobs = Vec::new();
    for name in &asked.chaos {
        if name == "all" {
            knobs.extend(Knob::ALL.iter().map(|(knob, _)| *knob));
        } else {
            knobs.push(Knob::parse(name)?);
        }
    }
    let order = simulate::Order {
        port: asked.port,
        seed: asked.seed,
        size: asked.size,
        knobs,
        catalog: asked.catalog,
        advance: asked.advance,
        behind: asked.behind,
    };
    let served = simulate::prepare(order, SystemClock.now()).await?;
    let (access, address) = (served.access(), served.address);
    let out = scene.out;
    if out.output == Output::Json {
        out.json(&serde_json::json!({
            "chargebee": { "base_url": access.chargebee_url, "api_key": access.chargebee_key },
            "billsby": { "base_url": access.billsby_url, "api_key": access.billsby_key },
        }))?;
    } else {
        out.data(&format!(
            "chargebee  base_url: {}   key: {}\nbillsby    base_url: {}   key: {}\n",
            access.chargebee_url, access.chargebee_key, access.billsby_url, access.billsby_key
        ))?;
        out.note(&format!(
            "a pipeline of it:     tidegate init --connector chargebee --name acme --set site=acme-test \
             --set base_url={} --destination lake:./lake\n\
             its key:              export ACME_API_KEY={}\n\
             a month passes:       curl -X POST 'http://{address}/_sim/advance?days=30'\n\
             {:22}(a sync reads up to now: start with --behind 30d, so that the month lies before it)\n\
             personal data goes:   curl -X POST 'http://{address}/_sim/clear?customer=ID'\n\
             troubles end:         curl -X POST 'http://{address}/_sim/quiet'\n\
             Ctrl-C stops.",
            access.chargebee_url, access.chargebee_key, ""
        ));
    }
    let mut stop = scene.stop.clone();
    let stopped = async move { drop(stop.wait_for(|s| *s).await) };
    served.serve(SystemClock, stopped).await?;
    Ok(Exit::Ok)
}
